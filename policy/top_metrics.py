"""Which metrics of a tenant that blasts have the most series, and which of them it is that grows.

Only the cardinality API tells, for a price, so few are asked and seldom: when a breaker begins to
watch or opens, and once more, because what grew is told by two answers. A metric that was not among
the fullest before had at most what the last of those had.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.breakers import TRIPPED
from policy.figures import grouped
from policy.frames import UTC_TIME

# What was answered about a tenant: the series of its fullest metrics, and `total`, of all.
TOP_METRICS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "metric": pl.String(),
        "series": pl.Int64(),
        "total": pl.Int64(),
    }
)
# The metric of each tenant that most of what came is of. `share` of the growth, 0..1; `others` what
# the fullest of its other metrics has.
GROWING: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "metric": pl.String(),
        "series": pl.Int64(),
        "others": pl.Int64(),
        "share": pl.Float64(),
    }
)
ASKED_AT_ONCE: Final = 5  # tenants in a look
METRICS_TOLD: Final = 10
SHOWN: Final = 3
MAJORITY: Final = 2 / 3
LEAST_GROWTH: Final = 1_000  # series between two answers: less has no culprit
_KINDS: Final = "ingestion|series"
_WATCHED: Final = ("watch", "open")


def to_ask(
    breakers: pl.DataFrame, *, turns: pl.DataFrame, known: pl.DataFrame, blasts: pl.DataFrame
) -> list[str]:
    """The tenants to ask about now, those that ask for most first.

    Args:
        breakers: BREAKERS.
        turns: TURNS of this look.
        known: TOP_METRICS of what was answered before.
        blasts: BLASTS of this look.
    """
    turned = turns.filter(pl.col("after").is_in(_WATCHED))["tenant"]
    answers = known.group_by("tenant").agg(answers=pl.col("at").n_unique())
    rows = (
        breakers.filter(
            pl.col("state").is_in([*_WATCHED, *TRIPPED]) & pl.col("kinds").str.contains(_KINDS)
        )
        .join(answers, on="tenant", how="left")
        .filter(pl.col("tenant").is_in(turned.implode()) | (pl.col("answers") == 1))
        .join(blasts.select("tenant", "value"), on="tenant", how="left")
        .sort("value", "tenant", descending=[True, False], nulls_last=True)
    )
    return rows["tenant"].head(ASKED_AT_ONCE).to_list()


def growing(known: pl.DataFrame) -> pl.DataFrame:
    """The metric of each tenant that a clear majority of its new series is of.

    Args:
        known: TOP_METRICS, of several answers.

    Returns:
        GROWING, sorted, by the newest two answers between which there was one.
    """
    keys = ["tenant", "at"]
    answers = (
        known.group_by(keys)
        .agg(total=pl.col("total").first(), least=_unlisted())
        .sort(keys)
        .with_columns(
            before=pl.col("at").shift().over("tenant"),
            more=pl.col("total") - pl.col("total").shift().over("tenant"),
            at_most=pl.col("least").shift().over("tenant"),
        )
        .filter(pl.col("more") >= LEAST_GROWTH)
    )
    earlier = known.select("tenant", "metric", before="at", had="series")
    rows = (
        known.join(answers.drop("total"), on=keys)
        .join(earlier, on=["tenant", "before", "metric"], how="left")
        .with_columns(
            share=(pl.col("series") - pl.coalesce("had", "at_most")) / pl.col("more"),
            others=pl.col("series").top_k(2).min().over(keys),
        )
    )
    fullest = pl.col("series") == pl.col("series").max().over(keys)
    return (
        rows.filter(fullest & (pl.col("share") >= MAJORITY))
        .sort("at")
        .unique("tenant", keep="last", maintain_order=True)
        .with_columns(pl.col("share").clip(0.0, 1.0))
        .select(GROWING.names())
        .cast(GROWING)
        .sort("tenant")
    )


def newest(known: pl.DataFrame) -> pl.DataFrame:
    """TOP_METRICS of the newest answer about each tenant, the fullest first."""
    return known.filter(pl.col("at") == pl.col("at").max().over("tenant")).sort(
        "tenant", "series", "metric", descending=[False, True, False]
    )


def top_words(known: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, words: `http_requests_total 540,000, up 20,000 of 900,000 series`.

    Args:
        known: TOP_METRICS.
    """
    named = pl.format("{} {}", "metric", _thousands("series"))
    return (
        newest(known)
        .group_by("tenant", maintain_order=True)
        .agg(top=named.head(SHOWN).str.join(", "), total=_thousands("total").first())
        .select("tenant", words=pl.format("{} of {} series", "top", "total"))
    )


def _unlisted() -> pl.Expr:
    """What a metric that is not in an answer had at most: 0 where all are in it."""
    full = pl.len() >= METRICS_TOLD
    return pl.when(full).then(pl.col("series").min()).otherwise(0)


def _thousands(column: str) -> pl.Expr:
    return grouped(pl.col(column).cast(pl.Float64))
