"""Who blasts at this moment, by the history and the settings of the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from flows.in_force import limits_in_force
from flows.runtime import Runtime
from policy.breaker import BLASTS, blasting, suspects
from policy.frames import empty
from policy.settings import Settings
from policy.signals import SAMPLES_ASKED
from storage.samples import baseline, newest_values

USUAL_WINDOW: Final = timedelta(hours=6)
FRESH: Final = timedelta(minutes=2)
BUCKET_SECONDS: Final = 300  # of the history's 5-minute means


def blasts_now(runtime: Runtime, settings: Settings, *, now: datetime) -> pl.DataFrame:
    """BLASTS of this moment, by stored samples no older than two minutes."""
    newest = newest_values(runtime.database, now=now, fresh=FRESH, signal=SAMPLES_ASKED)
    return blasts_of(newest, runtime=runtime, settings=settings, now=now)


def blasts_of(
    newest: pl.DataFrame, *, runtime: Runtime, settings: Settings, now: datetime
) -> pl.DataFrame:
    """BLASTS by these SAMPLES of what is asked for."""
    usual = _usual(runtime, now=now)
    breaker = settings.circuit_breaker
    absolute = breaker.blast_protection.ingestion_spike_threshold
    suspected = suspects(newest, baseline=usual, absolute_threshold=absolute)
    if suspected.is_empty():
        return empty(BLASTS)
    return blasting(
        suspected,
        baseline=usual,
        current=limits_in_force(runtime, suspected["tenant"]),
        multiplier=breaker.auto_config.limit_multipliers.ingestion_rate_multiplier,
        absolute_threshold=absolute,
    )


def _usual(runtime: Runtime, *, now: datetime) -> pl.DataFrame:
    """The baseline, asked for once per bucket: it is made of complete ones."""
    bucket = int(now.timestamp() // BUCKET_SECONDS)
    if runtime.memory.usual is None or runtime.memory.usual[0] != bucket:
        usual = baseline(runtime.database, now=now, window=USUAL_WINDOW, signal=SAMPLES_ASKED)
        runtime.memory.usual = (bucket, usual)
    return runtime.memory.usual[1]
