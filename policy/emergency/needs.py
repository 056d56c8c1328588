"""What each tenant usually needs of each limit: below it an emergency cuts nobody at first.

Usual is the more of what past weeks were at these hours and of the last six hours, with the
breaker's margin. What was reached in calm counts as well: a tenant that sends once in a while has
a low mean and needs its peaks. Of a tenant of which neither is known nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from policy.breaker_caps import SERIES_MARGIN, USUAL_MARGIN
from policy.detection import ABOVE_PEAK
from policy.signals import (
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    REQUEST_BURST_SIZE,
    REQUEST_RATE,
    REQUESTS_ASKED,
    SAMPLES_ASKED,
    SERIES,
)
from policy.usual import seasoned

METADATA: Final = "max_global_metadata_per_user"
SPARED: Final[Mapping[str, str]] = {
    INGESTION_RATE: INGESTION_RATE,
    SAMPLES_ASKED: INGESTION_RATE,
    INGESTION_BURST_SIZE: INGESTION_BURST_SIZE,
    REQUEST_RATE: REQUEST_RATE,
    REQUESTS_ASKED: REQUEST_RATE,
    REQUEST_BURST_SIZE: REQUEST_BURST_SIZE,
    SERIES: SERIES,
    METADATA: METADATA,
}
"""Which limit each signal is a demand on."""
_HELD: Final = (SERIES, METADATA)  # what stays in memory moves little, so less is added

# What is usual of each tenant and signal, in the unit of the signal. `mid` is the median of the
# logarithms of the hourly means of the same hours of past weeks, `points` their number, `recent`
# the median of six hours, `peak` the highest calm peak of them and of a day.
USUALLY: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "signal": pl.String(),
        "mid": pl.Float64(),
        "points": pl.Int64(),
        "recent": pl.Float64(),
        "peak": pl.Float64(),
    }
)
NEEDS: Final = pl.Schema({"tenant": pl.String(), "limit": pl.String(), "need": pl.Float64()})


def needs(usually: pl.DataFrame) -> pl.DataFrame:
    """What may be cut off no tenant that sends its usual.

    Args:
        usually: USUALLY of the signals in SPARED.

    Returns:
        NEEDS in the unit of the limit, of what is known and more than zero.
    """
    weeks = pl.when(seasoned()).then(pl.col("mid").exp())
    margin = pl.when(pl.col("signal").is_in(_HELD)).then(SERIES_MARGIN).otherwise(USUAL_MARGIN)
    need = pl.max_horizontal(weeks * margin, pl.col("recent") * margin, pl.col("peak") * ABOVE_PEAK)
    return (
        usually.filter(pl.col("signal").is_in(list(SPARED)))
        .select(
            "tenant",
            limit=pl.col("signal").replace_strict(dict(SPARED), return_dtype=pl.String),
            need=need,
        )
        .filter(pl.col("need").is_finite() & (pl.col("need") > 0))
        .group_by("tenant", "limit")
        .agg(pl.col("need").max())
        .sort("tenant", "limit")
        .cast(NEEDS)
    )
