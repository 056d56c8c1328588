"""What kind of cluster answers, told from its metrics alone.

Nothing is guessed: what no page tells is None or empty, and settings may then say it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from policy import scrape as families
from policy.scrape import Scrape
from policy.series import ZONE

Product = Literal["mimir", "cortex"]
Storage = Literal["classic", "ingest_storage"]

# Families that only Mimir has, for builds that do not carry its name.
_ONLY_MIMIR: Final = (
    families.MIMIR_BUILD,
    families.REQUESTS_IN,
    families.INGEST_STORAGE,
    families.PARTITIONS,
    families.LOCAL_LIMITS,
    families.LIMITS_DEFAULTS,
    families.LIMITS_OVERRIDES,
)
_NO_VERSION: Final = ("", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """The cluster as its pages show it.

    Attributes:
        product: mimir or cortex; None when no page tells.
        versions: of all the pods that answered, sorted; empty for builds without a number.
        storage: classic (a ring of ingesters) or ingest_storage (Kafka); None when no
            distributor tells.
        replication_factor: of the classic ring; None when no distributor tells.
        zones: by the names of the pods, as the Helm chart gives them; empty where those name none.
    """

    product: Product | None
    versions: tuple[str, ...]
    storage: Storage | None
    replication_factor: int | None
    zones: tuple[str, ...]


def detected(scrape: Scrape) -> Detected:
    """What kind of cluster was scraped."""
    readings = scrape.readings
    seen = _seen(readings)
    factor = _highest(readings, family=families.REPLICATION_FACTOR)
    builds = readings.filter(pl.col("family") == families.BUILD).get_column("version")
    return Detected(
        product=product_of(seen),
        versions=tuple(sorted({*builds.drop_nulls().unique()} - {*_NO_VERSION})),
        storage=_storage(readings, seen=seen),
        replication_factor=None if factor is None else int(factor),
        zones=tuple(
            pl.Series(scrape.answered, dtype=pl.String)
            .str.extract(ZONE)
            .drop_nulls()
            .unique()
            .sort()
        ),
    )


def product(scrape: Scrape) -> Product | None:
    """Whether Mimir or Cortex was scraped; None when no page tells."""
    return product_of(_seen(scrape.readings))


def _seen(readings: pl.DataFrame) -> frozenset[str]:
    return frozenset(readings.get_column("family").unique())


def product_of(seen: Collection[str]) -> Product | None:
    """Whether these families are of Mimir or of Cortex; None when they do not tell."""
    if any(family in seen for family in _ONLY_MIMIR):
        return "mimir"
    # Cortex is what has the build of their common past, or its own exporter, and nothing of Mimir.
    return "cortex" if families.BUILD in seen or families.CORTEX_OVERRIDES in seen else None


def _storage(readings: pl.DataFrame, *, seen: Collection[str]) -> Storage | None:
    if families.PARTITIONS in seen or _highest(readings, family=families.INGEST_STORAGE) == 1.0:
        return "ingest_storage"
    known = families.INGEST_STORAGE in seen or families.REPLICATION_FACTOR in seen
    return "classic" if known else None


def _highest(readings: pl.DataFrame, *, family: str) -> float | None:
    values = readings.filter(pl.col("family") == family).get_column("value")
    return None if values.is_empty() else float(values.max())  # type: ignore[arg-type]
