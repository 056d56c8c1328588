"""What one look at every pod brought back, and the metric families that are looked at.

A scrape says how much of the cluster it saw. It decides nothing: whether a partial view is
enough is the reader's to judge, by `coverage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

SAMPLES_IN: Final = "cortex_distributor_samples_in_total"
EXEMPLARS_IN: Final = "cortex_distributor_exemplars_in_total"
METADATA_IN: Final = "cortex_distributor_metadata_in_total"
RECEIVED: Final = "cortex_distributor_received_samples_total"
DEDUPED: Final = "cortex_distributor_deduped_samples_total"
REPLICATION_FACTOR: Final = "cortex_distributor_replication_factor"
INGEST_STORAGE: Final = "cortex_distributor_ingest_storage_enabled"

SERIES_CREATED: Final = "cortex_ingester_memory_series_created_total"
SERIES_REMOVED: Final = "cortex_ingester_memory_series_removed_total"
SERIES_ACTIVE: Final = "cortex_ingester_active_series"
SERIES_OWNED: Final = "cortex_ingester_owned_series"
LOCAL_LIMITS: Final = "cortex_ingester_local_limits"

DISCARDED: Final = "cortex_discarded_samples_total"

RELOAD_SUCCESSFUL: Final = "cortex_runtime_config_last_reload_successful"
RUNTIME_HASH: Final = "cortex_runtime_config_hash"

LIMITS_OVERRIDES: Final = "cortex_limits_overrides"  # Mimir's overrides-exporter
LIMITS_DEFAULTS: Final = "cortex_limits_defaults"
CORTEX_OVERRIDES: Final = "cortex_overrides"  # Cortex's

FAMILIES: Final = frozenset(
    {
        SAMPLES_IN,
        EXEMPLARS_IN,
        METADATA_IN,
        RECEIVED,
        DEDUPED,
        REPLICATION_FACTOR,
        INGEST_STORAGE,
        SERIES_CREATED,
        SERIES_REMOVED,
        SERIES_ACTIVE,
        SERIES_OWNED,
        LOCAL_LIMITS,
        DISCARDED,
        RELOAD_SUCCESSFUL,
        RUNTIME_HASH,
        LIMITS_OVERRIDES,
        LIMITS_DEFAULTS,
        CORTEX_OVERRIDES,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scrape:
    """The readings of all the pods that answered, and who did not.

    Attributes:
        at: when the scrape began, aware UTC. The moment of each pod's own answer is in `readings`.
        readings: READINGS of the families in FAMILIES.
        answered: the pods whose page was read, by base URL.
        failed: the pods whose page was not, with one line each that says why.
    """

    at: datetime
    readings: pl.DataFrame
    answered: tuple[str, ...]
    failed: Mapping[str, str]

    @property
    def coverage(self) -> float:
        """Pods answered / pods known, 0..1; no pods known is no coverage."""
        known = len(self.answered) + len(self.failed)
        return len(self.answered) / known if known else 0.0
