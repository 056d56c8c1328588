"""What the Kubernetes API itself knows of Mimir's pods: limits, restarts, kills for want of memory.

No Prometheus is needed for it. The API tells how often a container was restarted in all, and when
last; how often of late follows from what was seen before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from policy.cluster_resources import CONTAINERS, RESTARTS_WINDOW
from policy.frames import UTC_TIME
from policy.resources import (
    COMPONENTS,
    CONTAINER_RESTARTS,
    CPU,
    MEMORY,
    OOM_KILLED,
    RESOURCES,
)

# One row per container of a look. `uid` is the pod's, which a new pod of the same name does not
# share. Limits are null where there are none. `restarts` are of this pod since it began, null while
# the container was not created; `ended_at` and `oom_killed` are of the one before this.
CONTAINERS_SEEN: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "pod": pl.String(),
        "uid": pl.String(),
        "container": pl.String(),
        "memory_bytes": pl.Float64(),
        "cpu_cores": pl.Float64(),
        "restarts": pl.Int64(),
        "oom_killed": pl.Boolean(),
        "ended_at": UTC_TIME,
    }
)
_CONTAINER: Final = ["uid", "container"]


def pod_resources(seen: pl.DataFrame, *, before: pl.DataFrame) -> pl.DataFrame:
    """What a look at the pods says, as RESOURCES by the name of the pod.

    Args:
        seen: CONTAINERS_SEEN of the look.
        before: CONTAINERS_SEEN of earlier looks, those within the last 15 minutes at least.
    """
    first = before.group_by(_CONTAINER).agg(first=pl.col("restarts").min())
    lately = pl.col("ended_at") >= pl.col("at") - RESTARTS_WINDOW
    counted = pl.col("restarts") - pl.col("first")
    # Of one that is seen for the first time it is known only whether it was within the window.
    restarts = pl.when(pl.col("restarts").is_not_null()).then(
        pl.max_horizontal(counted, (lately & (pl.col("restarts") > 0)).cast(pl.Int64))
    )
    ours = (
        seen.filter(pl.col("container").is_in(CONTAINERS))
        .join(first, on=_CONTAINER, how="left")
        .with_columns(
            restarts=restarts,
            component=pl.when(pl.col("container").is_in(COMPONENTS)).then("container"),
        )
    )
    told = [
        _rows(ours, MEMORY, limit="memory_bytes"),
        _rows(ours, CPU, limit="cpu_cores"),
        _rows(ours, CONTAINER_RESTARTS, used="restarts"),
        _rows(ours, OOM_KILLED, used="oom_killed"),
    ]
    return (
        pl.concat(told)
        .filter(pl.col("used").is_not_null() | pl.col("limit").is_not_null())
        .group_by("pod", "component", "resource")
        .agg(pl.col("used", "limit").max())
        .select(RESOURCES.names())
        .sort("pod", "resource")
    )


def remembered(before: pl.DataFrame, *, seen: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """CONTAINERS_SEEN of the last 15 minutes, the new look among them.

    Args:
        before: what was remembered until now.
        seen: of the new look.
        at: when that was.
    """
    return pl.concat([before.filter(pl.col("at") >= at - RESTARTS_WINDOW), seen])


def _rows(
    ours: pl.DataFrame, resource: str, *, used: str | None = None, limit: str | None = None
) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.Float64)
    return ours.select(
        "pod",
        "component",
        resource=pl.lit(resource),
        used=nothing if used is None else pl.col(used).cast(pl.Float64),
        limit=nothing if limit is None else pl.col(limit),
    )
