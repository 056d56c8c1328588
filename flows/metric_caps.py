"""Hold the one metric that most of a blast is of, where Mimir told which it is."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flows.runtime import Runtime
from policy.metric_caps import metric_caps
from policy.settings import Settings
from policy.top_metrics import growing
from policy.tuned import catalogue_of
from policy.versions import known_to_all
from storage.breaker_metrics import read_metrics


def per_metric(
    runtime: Runtime, settings: Settings, *, breakers: pl.DataFrame, expires_at: datetime
) -> pl.DataFrame:
    """LAYERS of the metrics that grow, of these BREAKERS."""
    versions = runtime.memory.versions
    return metric_caps(
        breakers,
        growing=growing(read_metrics(runtime.database)),
        known=known_to_all(versions, catalogue=catalogue_of(settings.limits)),
        written_at=runtime.clock(),
        expires_at=expires_at,
    )
