"""Tell a blast of samples, queries or new series from what is usual for a tenant.

What is usual is told by policy.usual. Habitual peaks are known and are no blast, growth is none
either; a rise that is smaller than a blast is what the buffer of the limits is for. What an
operator has set as a threshold counts by itself. Nothing is said of what was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import polars as pl

from policy.breakers import TRIPPED
from policy.figures import TIMES, grouped
from policy.signals import (
    DISCARDED_SERIES_LIMIT,
    INGESTION_RATE,
    QUERIES,
    SAMPLES_ASKED,
    SERIES,
    SERIES_CREATED_RATE,
)
from policy.usual import habit, level, seasoned

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

LEAST_SPREAD: Final = 0.08  # of a logarithm: nobody is steadier than that
MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution
UNUSUAL_Z: Final = 6.0
# Half-way, by its logarithm, between what deployments were seen to need for an hour or two, 1.6
# times the usual, and the smallest blast, twice the usual.
LEAST_RATIO: Final = 1.79
YOUNG_FACTOR: Final = 3.0  # times the last six hours, of a tenant without past weeks
ABOVE_PEAK: Final = 1.1  # times what was reached before: a habit is no blast
LEAST_SHARE: Final = 0.02  # of the cluster, for it to matter
NEAR_LIMIT: Final = 0.8
# New series stay in memory for hours, so it counts what comes of a rate that goes on.
FILLS_WITHIN: Final = timedelta(minutes=5)
FILLS_AT_ONCE: Final = timedelta(minutes=1)  # before a second look could have an effect


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
    value, is_series = pl.col("value"), pl.col("kind") == "series"
    spread = pl.max_horizontal(pl.col("spread") * MAD_TO_SIGMA, LEAST_SPREAD)
    z = pl.when(seasoned() & (value > 0)).then((value / level()).log() / spread)
    rows = rows.with_columns(usual=level(), z=z)
    far = (
        pl.when(seasoned())
        .then((pl.col("z") > UNUSUAL_Z) & (value > pl.col("usual") * LEAST_RATIO))
        .otherwise(value > pl.col("usual") * YOUNG_FACTOR)
    )
    unusual = far & (value > habit().fill_null(0.0) * ABOVE_PEAK)
    rises = value - pl.col("usual") >= _of_kind(sensitivity.least)
    large = (pl.col("share") >= LEAST_SHARE) | (value >= pl.col("limit_value") * NEAR_LIMIT)
    large = pl.coalesce(pl.when(is_series).then(_fills()), large)
    matters = rises & large
    absolute = value > _of_kind(sensitivity.absolute)
    tripped = value > pl.col("threshold")
    over = tripped & (pl.col("manual") | (unusual & matters))
    filled = _grown(FILLS_AT_ONCE) >= pl.max_horizontal(_own(), "room")
    at_once = is_series & unusual & matters & filled & pl.col("room").is_not_null()
    sure = over | (absolute & sensitivity.at_once) | (at_once & sensitivity.by_habit)
    out = over | absolute | (unusual & matters & sensitivity.by_habit)
    found = rows.with_columns(
        sure=sure.fill_null(value=False),
        absolute=absolute.fill_null(value=False),
        most=_of_kind(sensitivity.absolute),
    ).filter(out)
    if found.is_empty():
        return pl.DataFrame(schema=DETECTED)
    return (
        found.with_columns(because=_because())
        .select(DETECTED.names())
        .cast(DETECTED)
        .sort("tenant", "kind")
    )


def uncensored(latest: pl.DataFrame, *, breakers: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES of a look in which a tenant whose series are held asks for those refused, too.

    Its cap ends an explosion as far as what is created tells; so a trial would show nothing, and
    the end of it let in the rest.

    Args:
        latest: SAMPLES of one look.
        breakers: BREAKERS as they were before it.
    """
    of_series = pl.col("kinds").str.contains("series", literal=True)
    held = breakers.filter(pl.col("state").is_in(TRIPPED) & of_series)["tenant"]
    if held.is_empty():
        return latest
    refused = latest.filter(signal=DISCARDED_SERIES_LIMIT).select(
        "tenant", signal=pl.lit(SERIES_CREATED_RATE), refused="value"
    )
    counts = pl.col("tenant").is_in(held.implode())
    more = pl.when(counts).then(pl.col("refused")).fill_null(0.0)
    return (
        latest.join(refused, on=["tenant", "signal"], how="left")
        .with_columns(value=pl.col("value") + more)
        .drop("refused")
    )


def _known(
    latest: pl.DataFrame, *, usual: pl.DataFrame, thresholds: pl.DataFrame, limits: pl.DataFrame
) -> pl.DataFrame:
    """One row per tenant and kind, with all that it is judged by; null where that is not known."""
    newest = (
        latest.filter(pl.col("signal").is_in([*KIND_OF, SERIES]) & pl.col("value").is_finite())
        .sort("at")
        .unique(["tenant", "signal"], keep="last")
        .select("tenant", "signal", "value")
    )
    return (
        newest.filter(pl.col("signal").is_in(list(KIND_OF)))
        .with_columns(
            kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String),
            share=pl.col("value") / pl.col("value").sum().over("signal"),
        )
        .join(usual, on=["tenant", "signal"], how="left")
        .join(thresholds, on=["tenant", "kind"], how="left")
        .join(_limits_of_rates(limits), on=["tenant", "kind"], how="left")
        .join(_room(newest, usual=usual, limits=limits), on=["tenant", "kind"], how="left")
        .with_columns(pl.col("manual").fill_null(value=False))
    )


def _limits_of_rates(limits: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, kind, limit_value."""
    rates = limits.filter(limit=INGESTION_RATE).filter(pl.col("value") > 0)
    return rates.select("tenant", kind=pl.lit("ingestion"), limit_value="value")


def _room(newest: pl.DataFrame, *, usual: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Columns tenant, kind, held, used_to, room, all_held: series in memory, its and all."""
    used_to = usual.filter(signal=SERIES).select("tenant", used_to="peak")
    limited = limits.filter(limit=SERIES).filter(pl.col("value") > 0)
    return (
        newest.filter(signal=SERIES)
        .join(used_to, on="tenant", how="left")
        .join(limited.select("tenant", most="value"), on="tenant", how="left")
        .select(
            "tenant",
            "used_to",
            kind=pl.lit("series"),
            held="value",
            room=pl.col("most") - pl.col("value"),
            all_held=pl.col("value").sum(),
        )
    )


def _fills() -> pl.Expr:
    """Whether new series at this rate soon double what is in memory, and are soon too many.

    Null where it is not known what is there.
    Who comes back after a pause creates at once what it had before, and not more than that.
    """
    grown = _grown(FILLS_WITHIN)
    is_full = (grown >= pl.col("room")).fill_null(value=False)
    too_many = is_full | (grown >= pl.col("all_held") * LEAST_SHARE)
    comes_back = (pl.col("held") < pl.col("used_to")).fill_null(value=False)
    return ~comes_back & (grown >= _own()) & too_many


def _own() -> pl.Expr:
    """Series in memory, without what an explosion has left there already."""
    return pl.min_horizontal("held", "used_to")


def _grown(span: timedelta) -> pl.Expr:
    return pl.col("value") * span.total_seconds()


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
    # Of new series, most create none.
    of_nothing = pl.when(usual == 0).then(pl.lit("usually none"))
    by_hand = pl.when(pl.col("manual") & (value > pl.col("threshold"))).then(
        pl.concat_str(pl.lit("above its threshold of "), grouped(pl.col("threshold")), unit)
    )
    return pl.concat_str(
        pl.concat_str(grouped(value), unit, pl.lit(" asked for")),
        most,
        by_hand,
        of_limit,
        of_usual,
        of_nothing,
        separator=", ",
        ignore_nulls=True,
    )
