"""Tell a blast of samples, queries or new series from what is usual for a tenant.

What is usual is what its same hours of the last weeks were, an hour to either side; of a tenant
too young for that, its last six hours. Habitual peaks are known and are no blast, growth is none
either. What an operator has set as a threshold counts by itself. Nothing is said of what was not
measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from policy.figures import TIMES, grouped
from policy.signals import INGESTION_RATE, QUERIES, SAMPLES_ASKED, SERIES_CREATED_RATE

Kind = Literal["ingestion", "queries", "series"]

SIGNAL_OF: Final[Mapping[Kind, str]] = {
    "ingestion": SAMPLES_ASKED,
    "queries": QUERIES,
    "series": SERIES_CREATED_RATE,
}
KIND_OF: Final = {signal: kind for kind, signal in SIGNAL_OF.items()}
UNIT_OF: Final[Mapping[Kind, str]] = {
    "ingestion": "/s",
    "queries": " queries/s",
    "series": " new series/s",
}

# What is usual of each tenant and signal. `mid` and `spread` are the median and the median absolute
# deviation of the logarithms of the hourly means of the same hours of past weeks, `points` their
# number; `recent` is the median of the last six hours; `peak` the highest calm peak of them all.
USUAL: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "mid": pl.Float64(),
        "spread": pl.Float64(),
        "points": pl.Int64(),
        "recent": pl.Float64(),
        "peak": pl.Float64(),
    }
)
# A threshold per second of a tenant and kind; `told` is by whom: adapted, or manual.
THRESHOLDS: Final = pl.Schema(
    {"tenant": pl.String(), "kind": pl.String(), "threshold": pl.Float64(), "manual": pl.Boolean()}
)
# One row per tenant and kind that is out of the usual in a look. `sure`: no second look is needed.
DETECTED: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "kind": pl.String(),
        "value": pl.Float64(),
        "usual": pl.Float64(),
        "z": pl.Float64(),
        "threshold": pl.Float64(),
        "share": pl.Float64(),
        "sure": pl.Boolean(),
        "because": pl.String(),
    }
)

LEAST_POINTS: Final = 6  # hours of past weeks: two weeks of three
LEAST_SPREAD: Final = 0.08  # of a logarithm: nobody is steadier than that
MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution
UNUSUAL_Z: Final = 6.0
YOUNG_FACTOR: Final = 3.0  # times the last six hours, of a tenant without past weeks
ABOVE_PEAK: Final = 1.1  # times what was reached before: a habit is no blast
LEAST_SHARE: Final = 0.02  # of the cluster, for it to matter
NEAR_LIMIT: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What counts.

    Attributes:
        absolute: per second, of each kind: nobody may ask for more; None is no such threshold.
        least: per second, of each kind: a rise by less is nobody's trouble.
        by_habit: what is far from the usual counts; else only what is above a threshold.
        at_once: what is above the absolute threshold needs no second look.
    """

    absolute: Mapping[Kind, float | None]
    least: Mapping[Kind, float]
    by_habit: bool = True
    at_once: bool = True


def detect(
    latest: pl.DataFrame,
    *,
    usual: pl.DataFrame,
    thresholds: pl.DataFrame,
    limits: pl.DataFrame,
    sensitivity: Sensitivity,
) -> pl.DataFrame:
    """Who is out of the usual at this look.

    Args:
        latest: SAMPLES of one look; those of other signals are left out.
        usual: USUAL.
        thresholds: THRESHOLDS, of tenants that have one.
        limits: LIMITS in force.
        sensitivity: what counts.

    Returns:
        DETECTED, sorted by tenant and kind.
    """
    rows = _known(latest, usual=usual, thresholds=thresholds, limits=limits)
    if rows.is_empty():
        return pl.DataFrame(schema=DETECTED)
    value, mid = pl.col("value"), pl.col("mid").exp()
    seasoned = pl.col("points").fill_null(0) >= LEAST_POINTS
    level = pl.when(seasoned).then(mid).otherwise("recent")
    spread = pl.max_horizontal(pl.col("spread") * MAD_TO_SIGMA, LEAST_SPREAD)
    z = pl.when(seasoned & (value > 0)).then((value.log() - pl.col("mid")) / spread)
    rows = rows.with_columns(usual=level, z=z)
    above_peak = value > pl.col("peak").fill_null(0.0) * ABOVE_PEAK
    unusual = (
        pl.when(seasoned)
        .then(pl.col("z") > UNUSUAL_Z)
        .otherwise(value > pl.col("usual") * YOUNG_FACTOR)
    ) & above_peak
    matters = (value - pl.col("usual") >= _of_kind(sensitivity.least)) & (
        (pl.col("share") >= LEAST_SHARE) | (value >= pl.col("limit_value") * NEAR_LIMIT)
    )
    absolute = value > _of_kind(sensitivity.absolute)
    tripped = value > pl.col("threshold")
    over = tripped & (pl.col("manual") | unusual)
    sure = over | (absolute & sensitivity.at_once)
    out = over | absolute | (unusual & matters & sensitivity.by_habit)
    return (
        rows.with_columns(
            sure=sure.fill_null(value=False),
            out=out.fill_null(value=False),
            absolute=absolute.fill_null(value=False),
            most=_of_kind(sensitivity.absolute),
        )
        .filter("out")
        .with_columns(because=_because())
        .select(DETECTED.names())
        .cast(DETECTED)
        .sort("tenant", "kind")
    )


def _known(
    latest: pl.DataFrame, *, usual: pl.DataFrame, thresholds: pl.DataFrame, limits: pl.DataFrame
) -> pl.DataFrame:
    rates = limits.filter(limit=INGESTION_RATE).filter(pl.col("value") > 0)
    by_tenant = rates.select(
        "tenant", kind=pl.lit("ingestion", dtype=pl.String), limit_value="value"
    )
    return (
        latest.filter(pl.col("signal").is_in(list(KIND_OF)) & pl.col("value").is_finite())
        .sort("at")
        .unique(["tenant", "signal"], keep="last")
        .select("tenant", "signal", "value")
        .with_columns(
            kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String),
            share=pl.col("value") / pl.col("value").sum().over("signal"),
        )
        .join(usual, on=["tenant", "signal"], how="left")
        .join(thresholds, on=["tenant", "kind"], how="left")
        .join(by_tenant, on=["tenant", "kind"], how="left")
        .with_columns(pl.col("manual").fill_null(value=False))
    )


def _of_kind(values: Mapping[Kind, float | None]) -> pl.Expr:
    told = {kind: value for kind, value in values.items() if value is not None}
    return pl.col("kind").replace_strict(told, default=None, return_dtype=pl.Float64)


def _because() -> pl.Expr:
    """How far it is above what: its own thresholds, its limit, what is usual."""
    unit = pl.col("kind").replace_strict(dict(UNIT_OF), return_dtype=pl.String)
    value, limit, usual = pl.col("value"), pl.col("limit_value"), pl.col("usual")
    most = pl.when("absolute").then(
        pl.concat_str(pl.lit("more than anybody may, "), grouped(pl.col("most")), unit)
    )
    of_limit = pl.when(limit > 0).then(
        pl.concat_str(
            grouped(value / limit), pl.lit(f" {TIMES} its limit of "), grouped(limit), unit
        )
    )
    of_usual = pl.when(usual > 0).then(
        pl.concat_str(grouped(value / usual), pl.lit(f" {TIMES} its usual "), grouped(usual), unit)
    )
    by_hand = pl.when(pl.col("manual") & (value > pl.col("threshold"))).then(
        pl.concat_str(pl.lit("above its threshold of "), grouped(pl.col("threshold")), unit)
    )
    return pl.concat_str(
        pl.concat_str(grouped(value), unit, pl.lit(" asked for")),
        most,
        by_hand,
        of_limit,
        of_usual,
        separator=", ",
        ignore_nulls=True,
    )
