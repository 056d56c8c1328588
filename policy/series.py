"""Count a tenant's series once, and find how full its fullest ingester is.

Ingesters hold copies: a classic ring holds `replication factor` of each series, and with ingest
storage every zone holds the same partition under the same ordinal. The series limit is enforced
per ingester on that ingester's share, so it is the fullest one that decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from policy import scrape as families
from policy import signals
from policy.scrape import Scrape

# An ingester without a limit, or that does not know its ring yet, reports math.MaxInt32.
_UNLIMITED: Final = 2_147_483_647
# A shard has no more ingesters than the ring, so a global limit is at most ring / copies times a
# local one. Beyond this slack (rounding, uneven zones) the ingesters have not loaded the global
# limit we were given: scaling by it would show a raise as demand and feed the next raise.
_SLACK: Final = 1.25
# The ordinal of a StatefulSet's pod in the first part of its host name. An address written with
# dashes has no letter in front and is no ordinal.
_ORDINAL: Final = r"^(?:[a-z]+://)?[a-zA-Z][a-zA-Z0-9-]*-([0-9]+)(?:[.:/]|$)"
# The zone and the ordinal at the end of the same name, as the Helm chart gives it.
ZONE: Final = r"(zone-[a-zA-Z0-9]+)-[0-9]+(?:[.:/]|$)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How often the ingesters hold one series.

    Attributes:
        factor: the replication factor; 1 where no page tells it.
        partitioned: ingest storage is on: pods of one ordinal hold the same partition.
    """

    factor: float
    partitioned: bool

    @classmethod
    def of(cls, current: Scrape, previous: Scrape | None) -> Copies:
        """What the distributors say; in the earlier scrape if none of them answered now."""
        told = _told(current)
        if previous is not None and not told:
            told = _told(previous)
        partitioned = told.get(families.INGEST_STORAGE) == 1.0 or families.PARTITIONS in told
        factor = told.get(families.REPLICATION_FACTOR)
        return cls(factor=1.0 if partitioned or not factor else factor, partitioned=partitioned)


def _told(scrape: Scrape) -> dict[str, float]:
    """The highest value of each family that tells how series are held."""
    rows = scrape.readings.filter(
        pl.col("family").is_in(
            [families.INGEST_STORAGE, families.PARTITIONS, families.REPLICATION_FACTOR]
        )
    )
    return dict(rows.group_by("family").agg(pl.col("value").max()).iter_rows())


def holder(copies: Copies) -> pl.Expr:
    """What holds a part of the series: the partition, or the pod itself.

    A pod whose name has no ordinal is its own partition; with several zones that counts its
    series once per zone, too many rather than too few.
    """
    pod = pl.col("pod")
    if not copies.partitioned:
        return pod
    return pl.coalesce(pod.cast(pl.String).str.extract(_ORDINAL), pod)


def once(rows: pl.DataFrame, *, copies: Copies, key: Sequence[str]) -> pl.DataFrame:
    """Sum ingester values over the cluster, each copy counted once.

    Args:
        rows: columns pod, value and those of `key`.
        copies: how often the ingesters hold one series.
        key: what to sum by.

    Returns:
        The columns of `key` and value.
    """
    return (
        rows.group_by(*key, "pod")
        .agg(pl.col("value").sum())
        .group_by(*key, holder(copies).alias("holder"))
        .agg(pl.col("value").max())
        .group_by(key)
        .agg(pl.col("value").sum() / copies.factor)
    )


def series_demand(current: Scrape, *, copies: Copies, limits: pl.DataFrame | None) -> pl.DataFrame:
    """The global series limit that the fullest ingester would need.

    Where the tenant's global limit and the ingesters' shares of it are known, the fullest share
    times the global limit. Elsewhere the series counted once, times their skew (fullest / mean).

    Args:
        current: the scrape.
        copies: how often the ingesters hold one series.
        limits: effective LIMITS as the ingesters had them, or None.

    Returns:
        Columns user, signal, value: SERIES in series, and SERIES_FULLEST_SHARE of the ingester
        that is the closest to its local limit, where the ingesters tell it.
    """
    held = _held(current.readings).with_columns(holder(copies).alias("holder"))
    ring = held.get_column("holder").n_unique() + len(current.failed)
    most_scale = _SLACK * max(1.0, ring / copies.factor)
    share = pl.col("series") / pl.col("local")
    needed = pl.when(pl.col("global") / pl.col("local") <= most_scale).then(
        share * pl.col("global")
    )
    demand = (
        held.join(_global_limits(limits), on="user", how="left", maintain_order="none")
        .with_columns(needed.alias("needed"), share.alias("share"))
        .group_by("user")
        .agg(
            pl.col("needed", "share").max(),
            (
                pl.col("series").max()
                * pl.col("holder").filter(pl.col("series") > 0).n_unique()
                / copies.factor
            ).alias("skewed"),
            # One share that cannot be scaled might be the fullest.
            (pl.col("needed").null_count() == 0).alias("all_scaled"),
        )
    )
    sized = pl.when("all_scaled").then("needed").otherwise("skewed")
    return pl.concat(
        [
            demand.select("user", pl.lit(signals.SERIES).alias("signal"), sized.alias("value")),
            demand.filter(pl.col("share").is_not_null()).select(
                "user",
                pl.lit(signals.SERIES_FULLEST_SHARE).alias("signal"),
                pl.col("share").alias("value"),
            ),
        ]
    )


def _held(readings: pl.DataFrame) -> pl.DataFrame:
    """The series of each tenant in each ingester: columns pod, user, series, local.

    Owned series count where they are tracked, in-memory ones elsewhere; `local` is null where
    the ingester has no limit.
    """
    parts = {
        "created": families.SERIES_CREATED,
        "removed": families.SERIES_REMOVED,
        "owned": families.SERIES_OWNED,
        "local": families.LOCAL_LIMITS,
    }

    def of(part: str) -> pl.Expr:
        """The sum of the family's samples; null where there is none."""
        return pl.when(pl.col(part).count() > 0).then(pl.col(part).sum())

    in_memory = of("created") - pl.col("removed").sum()
    local = pl.col("local")
    return (
        readings.filter(
            pl.col("family").is_in(
                [families.SERIES_CREATED, families.SERIES_REMOVED, families.SERIES_OWNED]
            )
            | ((pl.col("family") == families.LOCAL_LIMITS) & (pl.col("limit") == signals.SERIES)),
            pl.col("user").is_not_null(),
        )
        .select(
            "pod",
            "user",
            *(
                pl.when(pl.col("family") == family).then("value").alias(part)
                for part, family in parts.items()
            ),
        )
        .group_by("pod", "user")
        .agg(pl.coalesce(of("owned"), in_memory.clip(lower_bound=0.0)).alias("series"), of("local"))
        .filter(pl.col("series").is_not_null())
        .with_columns(pl.when(local.is_between(1, _UNLIMITED - 1)).then(local).alias("local"))
    )


def _global_limits(limits: pl.DataFrame | None) -> pl.DataFrame:
    """Columns user and global, for tenants whose series are limited at all."""
    if limits is None:
        return pl.DataFrame(schema={"user": pl.String(), "global": pl.Float64()})
    limited = (pl.col("limit") == signals.SERIES) & (pl.col("value") > 0)
    return limits.filter(limited).select(
        pl.col("tenant").alias("user"), pl.col("value").alias("global")
    )
