"""Rehearse a blast of one tenant on what the history knows of it; no sink is built."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.drill import LIMIT_OF, Blast, Kind, Pace, Rehearsal, rehearse
from policy.drill_protection import breaker_of
from policy.errors import ConfigError
from policy.settings import Settings
from policy.signals import REQUESTS_ASKED, SAMPLES_ASKED, SERIES, SERIES_CREATED_RATE
from policy.tuned import bounds_of, tuned
from policy.usual import levels, seasoned
from storage.backtests import Ask, limits_at
from storage.drills import demand_of_others
from storage.usual import usual as usual_at
from storage.usual import weekly
from tasks.writers import IN_KUBERNETES

USUAL_WINDOW: Final = timedelta(hours=6)
# Mimir reads its runtime files every ten seconds, and its limiters look the limit up as often.
LOADED_WITHIN: Final = timedelta(seconds=20)
KUBELET: Final = timedelta(seconds=60)  # until it has brought a changed ConfigMap
LONGEST: Final = timedelta(hours=2)
SIGNALS: Final = (SAMPLES_ASKED, REQUESTS_ASKED, SERIES, SERIES_CREATED_RATE)
SIGNAL_OF: Final[dict[Kind, str]] = {"samples": SAMPLES_ASKED, "series": SERIES}


def rehearse_blast(
    ask: Ask,
    *,
    settings: Settings,
    tenant: str,
    factor: float,
    lasts: timedelta,
    now: datetime,
    kind: Kind = "samples",
) -> Rehearsal:
    """What protection would do to this tenant in a blast of that factor.

    Args:
        ask: answers a statement about the history.
        settings: of the breaker, the bounds and the sink.
        tenant: whose usual demand and limits are taken.
        factor: how many times its usual it would ask for.
        lasts: how long.
        now: aware UTC.
        kind: of samples, or of series.

    Raises:
        ConfigError: nothing is known of the tenant's demand or limits, or the blast is none.
    """
    if factor <= 1:
        raise ConfigError(f"a factor of {factor:g} is no blast; give one above 1")
    if not timedelta(0) < lasts <= LONGEST:
        raise ConfigError("a drill lasts longer than nothing and no longer than two hours")
    if kind not in SIGNAL_OF:
        raise ConfigError(f"a drill is of {' or '.join(SIGNAL_OF)}, not of {kind!r}")
    signal = SIGNAL_OF[kind]
    normal = _usual(ask, tenant=tenant, now=now)
    usual, seasoned = _level(normal, signal=signal)
    if not usual:
        raise ConfigError(
            f"what is usual for {tenant!r} is not known: nothing was measured in six hours; "
            "`mlo tenants` lists all"
        )
    limits = limits_at(
        ask, tenants=pl.Series([tenant]), limits=tuned(settings.limits), at=now
    ).sort("tenant", "limit")
    if limits.filter(limit=LIMIT_OF[kind]).is_empty():
        raise ConfigError(
            f"which limits {tenant!r} has is not known yet; "
            "the flow `optimize` of `mlo up` reads them"
        )
    others = demand_of_others(ask, tenant=tenant, signal=signal, window=USUAL_WINDOW, now=now)
    return rehearse(
        Blast(
            tenant=tenant,
            usual=usual,
            factor=factor,
            lasts=lasts,
            kind=kind,
            known_by=_words(usual, seasoned=seasoned, others=others),
        ),
        limits=limits,
        protection=breaker_of(settings, usual=normal, others=others),
        pace=Pace(every=settings.protect_interval, loaded_after=_loaded_after(settings)),
        bounds=bounds_of(settings.limits),
        margin=settings.circuit_breaker.auto_config.safety_margins.default_margin / 100,
        now=now,
    )


def _usual(ask: Ask, *, tenant: str, now: datetime) -> pl.DataFrame:
    """USUAL of the tenant at this hour."""
    weeks = weekly(ask, now=now, signals=SIGNALS, tenant=tenant)
    return usual_at(ask, now=now, signals=SIGNALS, weeks=weeks, tenant=tenant)


def _level(normal: pl.DataFrame, *, signal: str) -> tuple[float | None, bool]:
    """What is usual, in the unit of the signal, and whether past weeks tell it."""
    rows = levels(normal).join(
        normal.select("tenant", "signal", seasoned=seasoned()), on=["tenant", "signal"]
    )
    found = rows.filter(signal=signal).select("level", "seasoned").rows()
    return found[0] if found else (None, False)


def _words(usual: float, *, seasoned: bool, others: float | None) -> str:
    """What told the usual, and how much of the cluster it is."""
    told = " of past weeks" if seasoned else " of its last hours"
    share = "" if others is None else f", {usual / (usual + others):.0%} of the cluster"
    return told + share.replace("%", " %")


def _loaded_after(settings: Settings) -> timedelta:
    """From a word of ours until Mimir goes by it."""
    waits = settings.publish.sink in IN_KUBERNETES and not settings.publish.touch_pods
    return LOADED_WITHIN + (KUBELET if waits else timedelta(0))
