"""What was usual for each tenant when an emergency began, and what these hours usually are.

What the emergency itself brought is no part of it: the last hours are read as they stood when it
began, and only past weeks go on with the clock.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

import polars as pl

from policy.emergency.needs import SPARED, USUALLY
from storage.database import Database, read_frame
from storage.usual import DAY, RECENT, weekly

# Of whole hours: an overload rises for minutes before it is told.
PEAKS_BEFORE: Final = """
    select tenant, signal, max(calm) as day_peak from peaks_hourly
    where "at" >= $since and "at" + interval '1 hour' <= $until
      and calm is not null and list_contains($signals::varchar[], signal)
    group by tenant, signal
"""
RECENT_MEDIANS: Final = """
    select tenant, signal, median(mean) as recent from demand_5m
    where list_contains($signals::varchar[], signal)
      and "at" >= $since and "at" < time_bucket(interval '5 minutes', $until::timestamptz)
    group by tenant, signal
"""


def usually(database: Database, *, begun: datetime, now: datetime) -> pl.DataFrame:
    """USUALLY of an emergency.

    Args:
        database: the history.
        begun: when the emergency did, aware UTC.
        now: whose hour is looked up in past weeks, aware UTC.
    """
    signals = list(SPARED)
    told: dict[str, object] = {"signals": signals}
    peaks = read_frame(database, PEAKS_BEFORE, told | {"since": begun - DAY, "until": begun})
    recent = read_frame(database, RECENT_MEDIANS, told | {"since": begun - RECENT, "until": begun})
    weeks = weekly(partial(read_frame, database), now=now, signals=signals)
    keys = ["tenant", "signal"]
    return (
        recent.join(peaks, on=keys, how="full", coalesce=True)
        .join(weeks, on=keys, how="full", coalesce=True)
        .with_columns(peak=pl.max_horizontal("peak", "day_peak"))
        .select(USUALLY.names())
        .cast(USUALLY)
    )
