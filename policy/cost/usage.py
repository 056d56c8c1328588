"""What each tenant used in an hour, and the quantities of it that have a price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from policy.frames import UTC_TIME
from policy.signals import (
    ACTIVE_SERIES,
    QUERIES,
    QUERY_SECONDS,
    RULER_QUERY_SECONDS,
    SAMPLES_RECEIVED,
    SERIES,
)

# One row per hour and tenant: means over the seconds of the hour that were measured. `at` is the
# start of the hour. What was not measured is null.
USAGE: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "covered_seconds": pl.Float64(),
        "samples_per_second": pl.Float64(),
        "active_series": pl.Float64(),
        "memory_series": pl.Float64(),
        "queries_per_second": pl.Float64(),
        "query_seconds_per_second": pl.Float64(),
        "ruler_seconds_per_second": pl.Float64(),
    }
)
SIGNAL_OF: Final[Mapping[str, str]] = {
    "samples_per_second": SAMPLES_RECEIVED,
    "active_series": ACTIVE_SERIES,
    "memory_series": SERIES,
    "queries_per_second": QUERIES,
    "query_seconds_per_second": QUERY_SECONDS,
    "ruler_seconds_per_second": RULER_QUERY_SECONDS,
}
"""The signal that each column of USAGE is the mean of."""

# Hours of a signal from elsewhere. `mean` over `covered_seconds` of the hour, which begins at `at`.
IMPORTED: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "signal": pl.String(),
        "mean": pl.Float64(),
        "covered_seconds": pl.Float64(),
    }
)

SECONDS_PER_HOUR: Final = 3_600.0
HOURS_PER_MONTH: Final = 730.5  # a twelfth of 365.25 days
BYTES_PER_SAMPLE: Final = 2.0  # in object storage, after compaction (Mimir's capacity planning)
BYTES_PER_GB: Final = 1e9


def quantities(*, retention_months: float | None) -> Mapping[str, pl.Expr]:
    """What is counted, by the name of its column in COSTS.

    Args:
        retention_months: how long blocks are kept; None where that is not known, and then nobody
            knows what is stored.

    Returns:
        Over USAGE: `samples` accepted, `series_hours` of active series, `queries`,
        `query_seconds` of queriers and of rules, and `stored_gb_months`: what the samples of the
        hour will have taken of object storage when they are deleted.
    """
    covered = pl.col("covered_seconds")
    samples = pl.col("samples_per_second") * covered
    # What rules ask counts where it is measured; without a ruler there is nothing to measure.
    asked = pl.col("query_seconds_per_second"), pl.col("ruler_seconds_per_second")
    seconds = (
        pl.when(pl.any_horizontal(each.is_not_null() for each in asked))
        .then(pl.sum_horizontal(each.fill_null(0.0) for each in asked))
        .otherwise(None)
    )
    return {
        "samples": samples,
        "series_hours": pl.col("active_series") * covered / SECONDS_PER_HOUR,
        "queries": pl.col("queries_per_second") * covered,
        "query_seconds": seconds * covered,
        "stored_gb_months": samples
        * BYTES_PER_SAMPLE
        / BYTES_PER_GB
        * pl.lit(retention_months, dtype=pl.Float64),
    }
