"""Whether a tenant is at work, idle or gone, by when it asked for something and when it was seen.

Only hours in which Mimir was looked at count: what asks for nothing while nobody looks is not
idle, so a long stop of ours makes nobody so. A tenant of which nothing is known is at work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from policy.frames import UTC_TIME

SEEN: Final = "seen"
IDLE: Final = "idle"
GONE: Final = "gone"

# One row per tenant. `quiet_hours` and `absent_hours` are the hours, of those in which Mimir was
# looked at as a whole, since the tenant's last demand (its first appearance, where it never had
# any) and since it was last on a page.
ACTIVITY: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "first_seen": UTC_TIME,
        "last_seen": UTC_TIME,
        "last_demand": UTC_TIME,
        "quiet_hours": pl.Float64(),
        "absent_hours": pl.Float64(),
    }
)
STATES: Final = pl.Schema({"tenant": pl.String(), "state": pl.String()})

_HOUR: Final = timedelta(hours=1)


def states(
    activity: pl.DataFrame, *, inactive_after: timedelta, gone_after: timedelta
) -> pl.DataFrame:
    """The state of every tenant (STATES): `seen`, `idle` or `gone`.

    Args:
        activity: ACTIVITY.
        inactive_after: a tenant without demand for so long is idle.
        gone_after: one that was on no page for so long is gone.
    """
    return activity.select(
        "tenant",
        state=pl.when(pl.col("absent_hours") >= gone_after / _HOUR)
        .then(pl.lit(GONE))
        .when(pl.col("quiet_hours") >= inactive_after / _HOUR)
        .then(pl.lit(IDLE))
        .otherwise(pl.lit(SEEN)),
    )
