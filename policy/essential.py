"""Families without which another one misleads, and what is withheld where they are missing.

A process of Mimir never leaves one of them out; a Prometheus that keeps an allow-list of families
does. What was created without what was removed grows for ever; samples of a pair of replicas
without the duplicates that are dropped count twice. No such number is told as demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from policy import scrape as families
from policy import signals
from policy.scrape import Scrape


@dataclass(frozen=True, slots=True, kw_only=True)
class Essential:
    """A family that has to be there where another one is.

    Attributes:
        family: what has to be there.
        beside: what shows that it has to.
        follows: what comes of it when it is missing, for the operator.
        withheld: the signals that would be wrong, of the tenants that `beside` tells.
        instead: a family that makes it needless for the tenants it tells.
    """

    family: str
    beside: str
    follows: str
    withheld: tuple[str, ...] = ()
    instead: str | None = None


ESSENTIALS: Final = (
    Essential(
        family=families.SERIES_REMOVED,
        beside=families.SERIES_CREATED,
        follows="series only seem to grow, so their limit is not sized",
        withheld=(signals.SERIES, signals.SERIES_FULLEST_SHARE),
        instead=families.SERIES_OWNED,
    ),
    Essential(
        family=families.METADATA_REMOVED,
        beside=families.METADATA_CREATED,
        follows="metadata only seems to grow, so its limit is not sized",
        withheld=("max_global_metadata_per_user",),
    ),
    Essential(
        family=families.DEDUPED,
        beside=families.HA_ELECTED,
        follows="replicas of one Prometheus are counted twice, so the ingestion rate of tenants "
        "that have them is not sized",
        withheld=(
            signals.INGESTION_RATE,
            signals.INGESTION_BURST_SIZE,
            signals.SAMPLES_ASKED,
            signals.SAMPLES_PER_REQUEST,
        ),
    ),
    Essential(
        family=families.SAMPLES_IN,
        beside=families.RECEIVED,
        follows="what a tenant at its limit asks for is not known, so the ingestion rate is not "
        "sized",
    ),
    Essential(
        family=families.REPLICATION_FACTOR,
        beside=families.SAMPLES_IN,
        follows="each copy of a series is counted as one more",
    ),
)

WITHHELD: Final = pl.Schema({"user": pl.String(), "signal": pl.String()})


def missing(readings: pl.DataFrame) -> tuple[Essential, ...]:
    """The families that no pod tells though they have to be there; READINGS of a whole look."""
    told = frozenset(readings.get_column("family").unique())
    return tuple(one for one in ESSENTIALS if one.beside in told and one.family not in told)


def withheld(scrape: Scrape) -> pl.DataFrame:
    """WITHHELD: the signals of each tenant that cannot be told from this look.

    On a page of Mimir itself a family that is not there stands at zero: nothing was removed yet.
    """
    found = [pl.DataFrame(schema=WITHHELD)]
    readings = scrape.readings
    for one in missing(readings) if scrape.second_hand else ():
        users = readings.filter(family=one.beside).select("user").drop_nulls().unique()
        if one.instead is not None:
            users = users.join(readings.filter(family=one.instead), on="user", how="anti")
        found += [users.select("user", pl.lit(signal).alias("signal")) for signal in one.withheld]
    return pl.concat(found)
