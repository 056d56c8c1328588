"""How much the cluster can take, told from its own instance limits.

What a Mimir process refuses for itself (its instance limits) hurts every tenant, so a raise is
looked at before: would the busiest ingester cross its line if the tenant used all that the new
limit gives? Without instance limits nothing is known, and nothing is held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from policy import scrape as families
from policy.detected import detected
from policy.scrape import Scrape

_SERIES: Final = "max_series"
_INGESTION: Final = "max_ingestion_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What is left of the cluster, and what it may hold in all.

    Attributes:
        ingesters: that say how many series they hold.
        copies: ingesters that hold a series each; 1 with ingest storage.
        series_line: series that an ingester may hold, the lowest of them, times the share that
            may be used; None where an ingester has no instance limit.
        series_slack: from the busiest ingester to that line; negative when it is crossed.
        distributors: that say what comes in.
        samples_line: samples/s that all distributors together may take, times the same share;
            None where a distributor has no instance limit.
    """

    ingesters: int = 0
    copies: int = 1
    series_line: float | None = None
    series_slack: float | None = None
    distributors: int = 0
    samples_line: float | None = None


def capacity_of(scrape: Scrape, *, share: float) -> Capacity:
    """The capacity by the instance limits on the pages.

    Args:
        scrape: the newest look.
        share: of an instance limit that may be used, 0..1.
    """
    readings = scrape.readings
    limits = _by_pod(readings, family=families.INGESTER_LIMITS, limit=_SERIES)
    series = _by_pod(readings, family=families.INGESTER_SERIES)
    both = series.join(limits, on="pod", how="left", suffix="_limit")
    line = slack = None
    if not both.is_empty() and (both["value_limit"].fill_null(0) > 0).all():
        lines = both["value_limit"] * share
        lowest, busiest = lines.min(), both["value"].max()
        line = float(lowest)  # type: ignore[arg-type]
        slack = line - float(busiest)  # type: ignore[arg-type]
    found = detected(scrape)
    copies = 1 if found.storage == "ingest_storage" else found.replication_factor or 1
    rates = _by_pod(readings, family=families.DISTRIBUTOR_LIMITS, limit=_INGESTION)
    distributors = readings.filter(pl.col("family") == families.DISTRIBUTOR_INGESTION)["pod"]
    limited = not rates.is_empty() and bool((rates["value"] > 0).all())
    return Capacity(
        ingesters=both.height,
        copies=copies,
        series_line=line,
        series_slack=slack,
        distributors=distributors.n_unique(),
        samples_line=float(rates["value"].sum()) * share if limited else None,
    )


def _by_pod(readings: pl.DataFrame, *, family: str, limit: str | None = None) -> pl.DataFrame:
    rows = readings.filter(pl.col("family") == family)
    if limit is not None:
        rows = rows.filter(pl.col("limit") == limit)
    return (
        rows.select(pl.col("pod").cast(pl.String), "value")
        .group_by("pod")
        .agg(pl.col("value").max())
    )
