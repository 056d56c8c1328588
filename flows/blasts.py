"""Who blasts at this moment, by the history and the settings of the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from flows.in_force import limits_in_force
from flows.runtime import Runtime
from policy.breaker import blasting
from policy.settings import Settings
from policy.signals import INGESTION_RATE
from storage.samples import baseline

USUAL_WINDOW: Final = timedelta(hours=6)
FRESH: Final = timedelta(minutes=2)


def blasts_now(runtime: Runtime, settings: Settings, *, now: datetime) -> pl.DataFrame:
    """BLASTS of this moment, by samples no older than two minutes."""
    usual = baseline(
        runtime.database, now=now, window=USUAL_WINDOW, fresh=FRESH, signal=INGESTION_RATE
    )
    breaker = settings.circuit_breaker
    return blasting(
        usual.with_columns(signal=pl.lit(INGESTION_RATE)),
        baseline=usual,
        current=limits_in_force(runtime, usual["tenant"]),
        multiplier=breaker.auto_config.limit_multipliers.ingestion_rate_multiplier,
        absolute_threshold=breaker.blast_protection.ingestion_spike_threshold,
    )
