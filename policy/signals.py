"""The signals that are measured and are not themselves the demand on a limit.

A sample whose `signal` is the name of a Mimir limit is the demand on that limit, in the
limit's own unit. These are the others.
"""

from __future__ import annotations

from typing import Final

INGESTION_RATE: Final = "ingestion_rate"  # samples/s asked for, before the limiter
INGESTION_BURST_SIZE: Final = "ingestion_burst_size"  # samples/s of the busiest distributor
SERIES: Final = "max_global_series_per_user"  # in-memory series, by the fullest ingester's share

# The limits that are sized by their own demand.
SIZED: Final = (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)

SAMPLES_RECEIVED: Final = "samples_received_per_second"  # samples/s that Mimir accepted
ACTIVE_SERIES: Final = "active_series"  # series, divided by the replication factor
DISCARDED_RATE_LIMITED: Final = "discarded_rate_limited_per_second"  # samples/s: a rate limit bit
DISCARDED_SERIES_LIMIT: Final = "discarded_series_limit_per_second"  # samples/s: a series limit bit
DISCARDED_OTHER: Final = "discarded_other_per_second"  # samples/s, data quality: raises nothing
BLASTING: Final = "blasting"  # 1 while the demand is a blast: no evidence of what is needed

# Which discards say that a limit bites: the pressure on it.
PRESSURE_ON: Final = {
    INGESTION_RATE: DISCARDED_RATE_LIMITED,
    INGESTION_BURST_SIZE: DISCARDED_RATE_LIMITED,
    SERIES: DISCARDED_SERIES_LIMIT,
}
