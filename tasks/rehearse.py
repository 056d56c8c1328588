"""Rehearse a blast of one tenant on what the history knows of it; no sink is built."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.drill import Blast, Pace, Rehearsal, rehearse
from policy.drill_protection import breaker_of
from policy.errors import ConfigError
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED
from policy.tuned import bounds_of, tuned
from storage.backtests import Ask, limits_at
from storage.drills import usual_demand
from tasks.writers import IN_KUBERNETES

USUAL_WINDOW: Final = timedelta(hours=6)
# Mimir reads its runtime files every ten seconds, and its limiters look the limit up as often.
LOADED_WITHIN: Final = timedelta(seconds=20)
KUBELET: Final = timedelta(seconds=60)  # until it has brought a changed ConfigMap
LONGEST: Final = timedelta(hours=2)


def rehearse_blast(
    ask: Ask,
    *,
    settings: Settings,
    tenant: str,
    factor: float,
    lasts: timedelta,
    now: datetime,
) -> Rehearsal:
    """What protection would do to this tenant in a blast of that factor.

    Args:
        ask: answers a statement about the history.
        settings: of the breaker, the bounds and the sink.
        tenant: whose usual demand and limits are taken.
        factor: how many times its usual it would ask for.
        lasts: how long.
        now: aware UTC.

    Raises:
        ConfigError: nothing is known of the tenant's demand or limits, or the blast is none.
    """
    if factor <= 1:
        raise ConfigError(f"a factor of {factor:g} is no blast; give one above 1")
    if not timedelta(0) < lasts <= LONGEST:
        raise ConfigError("a drill lasts longer than nothing and no longer than two hours")
    usual = usual_demand(ask, tenant=tenant, signal=SAMPLES_ASKED, window=USUAL_WINDOW, now=now)
    if not usual:
        raise ConfigError(
            f"what is usual for {tenant!r} is not known: nothing was measured in six hours; "
            "`mlo tenants` lists all"
        )
    limits = limits_at(
        ask, tenants=pl.Series([tenant]), limits=tuned(settings.limits), at=now
    ).sort("tenant", "limit")
    if limits.filter(limit=INGESTION_RATE).is_empty():
        raise ConfigError(
            f"which limits {tenant!r} has is not known yet; "
            "the flow `optimize` of `mlo up` reads them"
        )
    return rehearse(
        Blast(tenant=tenant, usual=usual, factor=factor, lasts=lasts),
        limits=limits,
        protection=breaker_of(settings),
        pace=Pace(every=settings.protect_interval, loaded_after=_loaded_after(settings)),
        bounds=bounds_of(settings.limits),
        margin=settings.circuit_breaker.auto_config.safety_margins.default_margin / 100,
        now=now,
    )


def _loaded_after(settings: Settings) -> timedelta:
    """From a word of ours until Mimir goes by it."""
    waits = settings.publish.sink in IN_KUBERNETES and not settings.publish.touch_pods
    return LOADED_WITHIN + (KUBELET if waits else timedelta(0))
