"""The thresholds and times of the breakers: by hand, or from the limits and the traffic."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from policy.breakers import Timing
from policy.detection import KIND_OF, SIGNAL_OF, THRESHOLDS, Kind, Sensitivity
from policy.settings import Settings
from policy.settings.breaker import Thresholds
from policy.signals import INGESTION_RATE
from policy.sustained import sustained_for

# A rise by less is nobody's trouble, per second.
LEAST: Final[dict[Kind, float]] = {"ingestion": 1_000.0, "queries": 10.0, "series": 100.0}


def sensitivity(settings: Settings) -> Sensitivity:
    """What counts, by the settings."""
    blast = settings.circuit_breaker.blast_protection
    return Sensitivity(
        absolute={
            "ingestion": blast.ingestion_spike_threshold,
            "queries": blast.query_spike_threshold,
            "series": blast.series_spike_threshold,
        },
        least=LEAST,
        by_habit=blast.use_auto_thresholds,
        at_once=blast.auto_emergency_shutdown,
    )


def timing_of(settings: Settings) -> Timing:
    """How long each state of a breaker lasts, by the settings."""
    return Timing(
        growth_after=sustained_for(settings),
        failure_share=settings.circuit_breaker.failure_threshold / 100,
    )


def from_limits(limits: pl.DataFrame, *, settings: Settings) -> pl.DataFrame:
    """THRESHOLDS at the limit times its multiplier, and the margin above.

    Args:
        limits: LIMITS in force; only those that bound a rate have a threshold.
        settings: multipliers and margins.
    """
    auto = settings.circuit_breaker.auto_config
    rate = auto.limit_multipliers.ingestion_rate_multiplier
    return (
        limits.filter((pl.col("limit") == INGESTION_RATE) & (pl.col("value") > 0))
        .select(
            "tenant",
            kind=pl.lit("ingestion"),
            threshold=pl.col("value") * rate * (1 + _margin(settings)),
            manual=pl.lit(value=False),
        )
        .cast(THRESHOLDS)
    )


def from_usual(usual: pl.DataFrame, *, settings: Settings) -> pl.DataFrame:
    """THRESHOLDS of queries and new series, which no limit bounds: so many times what is usual.

    Args:
        usual: tenant, signal, level.
        settings: multipliers and margins.
    """
    auto = settings.circuit_breaker.auto_config
    times = {
        SIGNAL_OF["queries"]: auto.limit_multipliers.query_rate_multiplier,
        SIGNAL_OF["series"]: auto.limit_multipliers.series_multiplier,
    }
    factor = pl.col("signal").replace_strict(times, default=None, return_dtype=pl.Float64)
    return (
        usual.filter(pl.col("signal").is_in(list(times)))
        .select(
            "tenant",
            kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String),
            threshold=pl.col("level") * factor * (1 + _margin(settings)),
            manual=pl.lit(value=False),
        )
        .filter(pl.col("threshold") > 0)  # of who usually asks for nothing it says nothing
        .cast(THRESHOLDS)
    )


def adapted(
    previous: pl.DataFrame, *, anchors: pl.DataFrame, reached: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """THRESHOLDS a step nearer to the traffic, never below what follows from the limit.

    Args:
        previous: THRESHOLDS as they were.
        anchors: THRESHOLDS from the limits.
        reached: tenant, kind, value: what most looks of late stayed below.
        settings: how fast, and how far at once.
    """
    auto = settings.circuit_breaker.auto_config
    how, keys = auto.realtime_adaptation, ["tenant", "kind"]
    multiplier = auto.limit_multipliers.ingestion_rate_multiplier
    rows = anchors.join(previous.select(*keys, was="threshold"), on=keys, how="left").join(
        reached.select(*keys, reached="value"), on=keys, how="left"
    )
    was = pl.coalesce("was", "threshold")
    target = pl.max_horizontal("threshold", pl.col("reached") * multiplier)
    most = was * how.max_change_percent / 100
    step = ((target - was) * how.learning_rate).clip(-most, most)
    return rows.with_columns(threshold=pl.max_horizontal("threshold", was + step)).select(
        THRESHOLDS.names()
    )


def in_force(auto: pl.DataFrame, *, tenants: Collection[str], settings: Settings) -> pl.DataFrame:
    """THRESHOLDS by the mode: those by hand where they are to count, the others elsewhere.

    Args:
        auto: THRESHOLDS that follow from limits and traffic.
        tenants: all of them.
        settings: mode and thresholds, of everyone and of single tenants; and what counts as a blast
            of single tenants, which is by hand in each mode.
    """
    breaker = settings.circuit_breaker
    rows: list[tuple[str, str, float, bool]] = []
    by_hand: set[str] = set()
    for tenant in tenants:
        own = breaker.per_tenant_config.get(tenant) if breaker.per_tenant_enabled else None
        mode = (own.mode if own else None) or breaker.mode
        told = _told(own.thresholds if own else None)
        if mode == "manual":
            by_hand.add(tenant)
            told = _told(breaker.thresholds) | told
        if mode != "auto":
            rows += [(tenant, kind, value, True) for kind, value in told.items()]
        override = breaker.blast_protection.tenant_overrides.get(tenant)
        if override is not None:
            said = {
                "ingestion": override.ingestion_spike_threshold,
                "queries": override.query_spike_threshold,
                "series": override.series_spike_threshold,
            }
            rows += [(tenant, kind, value, True) for kind, value in said.items() if value]
    manual = pl.DataFrame(rows, schema=THRESHOLDS, orient="row").unique(
        ["tenant", "kind"], keep="last"
    )
    rest = auto.filter(~pl.col("tenant").is_in(list(by_hand))).join(
        manual, on=["tenant", "kind"], how="anti"
    )
    return pl.concat([rest, manual])


def named(settings: Settings) -> set[str]:
    """The tenants of whom the settings say something of their own."""
    breaker = settings.circuit_breaker
    return {*breaker.per_tenant_config, *breaker.blast_protection.tenant_overrides}


def _margin(settings: Settings) -> pl.Expr:
    """What is added to a threshold of its row's tenant, as a share of it."""
    margins = settings.circuit_breaker.auto_config.safety_margins
    own = dict(margins.tenant_margins) or {"": margins.default_margin}
    return (
        pl.col("tenant")
        .replace_strict(own, default=margins.default_margin, return_dtype=pl.Float64)
        .truediv(100)
    )


def _told(thresholds: Thresholds | None) -> dict[str, float]:
    if thresholds is None:
        return {}
    said = {
        "ingestion": thresholds.ingestion,
        "queries": thresholds.query,
        "series": thresholds.series,
    }
    return {kind: value for kind, value in said.items() if value is not None}
