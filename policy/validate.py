"""Find what Mimir would refuse, and what it would take and get wrong, before it is written.

One unknown key makes Mimir drop the whole file, for all tenants, and a restarting pod does not
start. It accepts other things that it should not: a negative rate, a fraction for a whole
number (cut off), a rate of zero that blocks a tenant and that nobody pinned. All of these are
refused here, each in a line that names the tenant, the limit and the way out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from policy.catalogue import Catalogue, blocked_at_zero, integers, numbers
from policy.document import render
from policy.layers import LAST_WORDS
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE

_MAX_ID_BYTES: Final = 150
_MAX_INTEGER: Final = 2.0**63
_LEGAL_ID: Final = r"^[0-9a-zA-Z!\-_.*'()]+$"
# Where Mimir checks more than the type of a number. The names are of all versions.
_ESTIMATE: Final = "max_estimated_fetched_chunks_per_query_multiplier"
_PERCENT: Final = "early_head_compaction_min_estimated_series_reduction_percentage"
_ROUNDED: Final = (
    "query_sharding_total_shards",
    "compactor_split_and_merge_shards",
    "compactor_ooo_split_and_merge_shards",
)
_LABEL_LENGTH: Final = "max_label_value_length"
_LEAST_LABEL_LENGTH: Final = 71  # the length of Mimir's "(hash:…)", which replaces a value
_RESERVED_IDS: Final = (".", "..", "__mimir_cluster")


def validate(
    limits: pl.DataFrame,
    *,
    known: Collection[str],
    catalogue: Catalogue | None = None,
    max_bytes: int | None = None,
) -> list[str]:
    """The problems of what is about to be published.

    Args:
        limits: COMPOSED or LIMITS.
        known: the names that the oldest running version knows (`catalogue.known_in`).
        catalogue: the limits and their types; None for the built-in ones.
        max_bytes: the largest file that may be written; None: any.

    Returns:
        One line per problem, sorted by tenant and limit; nothing when it may be written.
    """
    is_meant = (
        pl.col("decided_by").is_in(LAST_WORDS)
        if "decided_by" in limits.columns
        else pl.lit(value=False)
    )
    rows = limits.select("tenant", "limit", "value", meant=is_meant.fill_null(value=False))
    found = rows.select("tenant", "limit", problem=_problem(known, catalogue)).drop_nulls("problem")
    problems = pl.concat([found, _too_small_bursts(rows)]).sort("tenant", "limit", "problem")
    lines = problems.select(
        pl.format(
            "tenant {}, {}: {}",
            pl.col("tenant").fill_null("(none)"),
            pl.col("limit").fill_null("(no limit)"),
            "problem",
        )
    )
    return [*lines.to_series().to_list(), *_too_large(rows, max_bytes=max_bytes)]


def _problem(known: Collection[str], catalogue: Catalogue | None) -> pl.Expr:
    """What is wrong with one row by itself: the first that applies."""
    tenant, limit, value = pl.col("tenant"), pl.col("limit"), pl.col("value")
    legal = tenant.str.contains(_LEGAL_ID) & (tenant.str.len_bytes() <= _MAX_ID_BYTES)
    shares = limit.is_in(list(_ROUNDED)) & (value > 0) & (value < _MAX_INTEGER)
    checks = [
        (
            ~legal.fill_null(value=False) | tenant.is_in(_RESERVED_IDS),
            (
                f"this is no tenant id that Mimir takes (1 to {_MAX_ID_BYTES} bytes of letters, "
                "digits and !-_.*'(), not '.', '..' or '__mimir_cluster'); exclude the tenant"
            ),
        ),
        (
            ~limit.is_in(list(known)).fill_null(value=False),
            (
                "the oldest running Mimir does not know this limit and would refuse the whole "
                "file; remove it, or upgrade every pod first"
            ),
        ),
        (
            ~limit.is_in(list(numbers(catalogue))),
            "this limit is not a number; set it in the operator's own file",
        ),
        (
            pl.struct("tenant", "limit").is_duplicated(),
            "it is set twice and Mimir refuses duplicate keys; keep one value",
        ),
        (
            ~value.is_finite().fill_null(value=False),
            "the value is missing or not finite; give a number, or 0 where that means unlimited",
        ),
        (value < 0, "the value is negative, which Mimir accepts and misreads; give 0 or more"),
        (
            limit.is_in(list(integers(catalogue)))
            & ((value != value.floor()) | (value >= _MAX_INTEGER)),
            (
                "the value is not a whole number that Mimir can hold, and it would cut it off; "
                "round it"
            ),
        ),
        (
            (limit == _ESTIMATE) & (value > 0) & (value < 1),
            "Mimir refuses a multiplier between 0 and 1; give 0, which is off, or at least 1",
        ),
        ((limit == _PERCENT) & (value > 100), "Mimir refuses more than 100 percent; give less"),  # noqa: PLR2004
        (
            shares & ~_is_power_of_two(value),
            "Mimir rounds it to a power of two and would never show this value; give one",
        ),
        (
            (limit == _LABEL_LENGTH) & (value < _LEAST_LABEL_LENGTH),
            (
                f"below {_LEAST_LABEL_LENGTH} Mimir refuses the whole file where "
                "label_value_length_over_limit_strategy is truncate or drop; give more"
            ),
        ),
        (
            limit.is_in(list(blocked_at_zero(catalogue))) & (value == 0) & ~pl.col("meant"),
            "0 refuses everything that the tenant sends; give more than 0, or pin it with --yes",
        ),
    ]
    return pl.coalesce(pl.when(wrong).then(pl.lit(text)) for wrong, text in checks)


def _is_power_of_two(value: pl.Expr) -> pl.Expr:
    exponent = value.log(2).round()
    return pl.lit(2.0).pow(exponent) == value


def _too_small_bursts(rows: pl.DataFrame) -> pl.DataFrame:
    text = f"the burst is below {INGESTION_RATE}, so it refuses what the rate allows; raise it"
    rates = rows.filter(limit=INGESTION_RATE).select("tenant", rate="value")
    return (
        rows.filter(limit=INGESTION_BURST_SIZE)
        .join(rates, on="tenant")
        .filter(pl.col("value") < pl.col("rate"))
        .select("tenant", "limit", problem=pl.lit(text))
        .unique()
    )


def _too_large(rows: pl.DataFrame, *, max_bytes: int | None) -> list[str]:
    if max_bytes is None:
        return []
    size = len(render(rows))
    if size <= max_bytes:
        return []
    tenants = rows["tenant"].n_unique()
    problem = (
        f"the file of {tenants} tenants would be {size} bytes, more than {max_bytes}; "
        "set publish.configMap.compression: gzip, choose another publish.sink, or exclude tenants"
    )
    return [problem]
