"""Which teams share a tenant, by the label that Mimir attributes its samples and series to.

Mimir counts by label what it received and which series are active; what a team has is its part of
what the tenant was measured to have. Series without the label, and those of labels beyond what
Mimir or we keep, are nobody's: `unattributed`, and so are queries, which Mimir attributes to none.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.cost.parts import amount_of, billionths
from policy.cost.pricing import AMOUNT, COMPONENTS, Terms, valued
from policy.cost.teams import UNATTRIBUTED
from policy.cost.usage import IMPORTED, USAGE
from policy.frames import SAMPLES, UTC_TIME
from policy.signals import ACTIVE_SERIES, SAMPLES_RECEIVED

SAMPLES_FAMILY: Final = "cortex_distributor_received_attributed_samples_total"
SERIES_FAMILY: Final = "cortex_ingester_attributed_active_series"
FAMILIES: Final = (SAMPLES_FAMILY, SERIES_FAMILY)
MISSING: Final = "__missing__"
OVERFLOW: Final = "__overflow__"
"""What Mimir puts in the place of a label: where it is missing, and where there are too many."""

# What the processes told in one look, one row per pod, family, tenant and value of the label.
ATTRIBUTED: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "pod": pl.String(),
        "family": pl.String(),
        "tenant": pl.String(),
        "team": pl.String(),
        "value": pl.Float64(),
    }
)
# The signal of a team's part is this and its name behind a colon.
SIGNALS: Final = {
    SAMPLES_FAMILY: "attributed_samples_per_second",
    SERIES_FAMILY: "attributed_active_series",
}
# What of a tenant a family divides.
MEASURED_AS: Final = {SAMPLES_FAMILY: SAMPLES_RECEIVED, SERIES_FAMILY: ACTIVE_SERIES}
_AMOUNTS: Final = ("amount", *(f"{name}_amount" for name in COMPONENTS))
# What each team of a tenant that has several was charged in an hour, the unattributed rest among
# them: together what the tenant was charged.
TEAM_COSTS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "team": pl.String(),
        **dict.fromkeys(_AMOUNTS, AMOUNT),
    }
)
_HOUR: Final = ("at", "tenant")
_COUNTER: Final = ("pod", "family", "tenant", "team")


def attributed_samples(
    current: pl.DataFrame, previous: pl.DataFrame | None, *, samples: pl.DataFrame, most: int
) -> pl.DataFrame:
    """SAMPLES of what teams have of their tenants.

    Args:
        current: ATTRIBUTED.
        previous: the look before; without it nothing is known of samples.
        samples: SAMPLES of the same moment: what the tenants have.
        most: teams of a tenant that are told, the largest first; all others are left out, and
            so are series without the label. What overflowed is told besides.
    """
    told = pl.concat([_grown(current, previous), current.filter(family=SERIES_FAMILY)])
    shares = (
        told.group_by("family", "tenant", "team")
        .agg(pl.col("value").sum())
        .with_columns(of_all=pl.col("value").sum().over("family", "tenant"))
        .filter(pl.col("value") > 0, pl.col("team") != MISSING)
        .with_columns(
            share=pl.col("value") / pl.col("of_all"),
            signal=pl.col("family").replace_strict(MEASURED_AS, return_dtype=pl.String),
        )
    )
    named = pl.col("team") != OVERFLOW
    size = pl.col("share").sum().over("tenant", "team")
    kept = shares.with_columns(size=size).filter(
        ~named
        | (pl.struct("size", "team").rank("dense", descending=True).over("tenant", named) <= most)
    )
    return (
        kept.join(samples.select(SAMPLES.names()), on=["tenant", "signal"], suffix="_of_all")
        .with_columns(
            value=pl.col("share") * pl.col("value_of_all"),
            signal=pl.concat_str(
                pl.col("family").replace_strict(SIGNALS, return_dtype=pl.String),
                "team",
                separator=":",
            ),
        )
        .select(SAMPLES.names())
        .sort("tenant", "signal")
    )


def _grown(current: pl.DataFrame, previous: pl.DataFrame | None) -> pl.DataFrame:
    """How many samples were counted since the look before, on pods that told both times."""
    now = current.filter(family=SAMPLES_FAMILY)
    if previous is None:
        return now.clear()
    before = previous.filter(family=SAMPLES_FAMILY)
    since = pl.col("value") - pl.col("value_before").fill_null(0.0)
    return (
        now.filter(pl.col("pod").is_in(before["pod"].unique().implode()))
        .join(before.drop("at"), on=list(_COUNTER), how="left", suffix="_before")
        # A counter that fell began anew.
        .with_columns(value=pl.when(since < 0).then("value").otherwise(since))
        .select(ATTRIBUTED.names())
    )


def divided(
    costs: pl.DataFrame, *, usage: pl.DataFrame, attributed: pl.DataFrame, terms: Terms
) -> pl.DataFrame:
    """TEAM_COSTS of the tenants that have teams in an hour.

    A team is charged what its part of the usage costs by the same prices, cut to whole billionths;
    what that leaves of the tenant's charge is unattributed. So no digit is lost.

    Args:
        costs: COSTS of the usage.
        usage: USAGE.
        attributed: IMPORTED of the signals of teams.
        terms: how the usage is priced.
    """
    parts = _used_by_teams(usage, attributed=attributed)
    if parts.is_empty():
        return TEAM_COSTS.to_frame()
    # The number of a row goes where the tenant was, so that a price is found again.
    numbered = parts.with_row_index("number").with_columns(pl.col("number").cast(pl.String))
    priced = valued(numbered.drop("tenant").rename({"number": "tenant"}), terms=terms).select(
        number="tenant", **{f"{name}_listed": billionths(name) for name in _AMOUNTS}
    )
    whole = costs.select(
        *_HOUR,
        *(billionths(name).alias(name) for name in _AMOUNTS),
        amount_of_list=billionths(pl.coalesce("listed_amount", "amount")),
    )
    rows = (
        numbered.select("number", *_HOUR, "team")
        .join(priced, on="number")
        .join(whole, on=list(_HOUR))
        .select(
            *_HOUR, "team", *_AMOUNTS, *(_part(name).alias(f"{name}_part") for name in _AMOUNTS)
        )
    )
    teams = rows.filter(pl.col("team") != OVERFLOW).select(
        *_HOUR, "team", *(amount_of(pl.col(f"{name}_part")).alias(name) for name in _AMOUNTS)
    )
    named = pl.col("team") != OVERFLOW
    rest = rows.group_by(_HOUR).agg(
        pl.lit(UNATTRIBUTED).alias("team"),
        *(
            amount_of(pl.col(name).first() - pl.col(f"{name}_part").filter(named).sum()).alias(name)
            for name in _AMOUNTS
        ),
    )
    return (
        pl.concat([teams, rest])
        .group_by(*_HOUR, "team")  # a label may be called like the rest
        .agg(pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in _AMOUNTS)
        .select(TEAM_COSTS.names())
        .cast(TEAM_COSTS)
        .sort("at", "tenant", "team")
    )


def _part(name: str) -> pl.Expr:
    """What of the tenant's amount is the team's, in billionths; null where it has none."""
    listed = pl.col(f"{name}_listed").fill_null(0)
    whole = pl.col("amount_of_list" if name == "amount" else name)
    of_teams = listed.sum().over(_HOUR)
    all_of_it = pl.max_horizontal(whole, of_teams)
    return (
        pl.when(all_of_it > 0)
        .then(pl.col(name) * listed // all_of_it)
        .when(pl.col(name).is_not_null())
        .then(pl.lit(0, dtype=pl.Int128))
    )


def _used_by_teams(usage: pl.DataFrame, *, attributed: pl.DataFrame) -> pl.DataFrame:
    """USAGE and `team`, of what overflowed too; of a part of the hour it counts for that part."""
    of_hour = pl.min_horizontal(pl.col("covered_seconds") / pl.col("covered_seconds_of_hour"), 1.0)
    kind, team = (pl.col("signal").str.splitn(":", 2).struct.field(f"field_{n}") for n in (0, 1))

    def of(family: str) -> pl.Expr:
        return pl.col("had").filter(pl.col("kind") == SIGNALS[family]).sum()

    had = (
        attributed.select(IMPORTED.names())
        .join(
            usage.filter(pl.col("covered_seconds") > 0).select(*_HOUR, "covered_seconds"),
            on=list(_HOUR),
            suffix="_of_hour",
        )
        .with_columns(kind=kind, team=team, had=pl.col("mean") * of_hour)
        .group_by(*_HOUR, "team")
        .agg(samples=of(SAMPLES_FAMILY), series=of(SERIES_FAMILY))
    )
    nothing = pl.lit(None, dtype=pl.Float64)
    measured = pl.col("active_series")
    share = pl.when(measured > 0).then(pl.col("series") / measured)
    return (
        had.join(usage, on=list(_HOUR))
        .with_columns(
            samples_per_second=pl.when(pl.col("samples_per_second").is_not_null()).then("samples"),
            active_series=pl.when(measured.is_not_null()).then("series"),
            memory_series=pl.col("memory_series") * share,
            queries_per_second=nothing,
            query_seconds_per_second=nothing,
            ruler_seconds_per_second=nothing,
        )
        .select(*USAGE.names(), "team")
    )
