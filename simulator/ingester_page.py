"""An ingester's own families: series in memory, the local limit, what that turned away."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from simulator.exposition import Kind, family, user
from simulator.process_page import instance_families
from simulator.processes import Ingester

_CREATED, _REMOVED, _ACTIVE = (attrgetter(name) for name in ("created", "removed", "active"))
_INGESTED, _REJECTED = (attrgetter(name) for name in ("ingested", "rejected"))
_SERIES_PER_METRIC: Final = 40  # that share its name, and so its metadata
_SERIES_PER_EXEMPLAR: Final = 100

# What is told of each tenant: the family, its help, what it counts, and how many make one.
_TOLD: Final[tuple[tuple[str, str, attrgetter[float], int], ...]] = (
    ("memory_series_created_total", "Series put into memory.", _CREATED, 1),
    ("memory_series_removed_total", "Series dropped from memory.", _REMOVED, 1),
    ("active_series", "Series with a recent sample.", _ACTIVE, 1),
    ("ingested_samples_total", "Samples stored.", _INGESTED, 1),
    ("ingested_samples_failures_total", "Samples turned away.", _REJECTED, 1),
    ("memory_metadata_created_total", "Metadata put into memory.", _CREATED, _SERIES_PER_METRIC),
    ("memory_metadata_removed_total", "Metadata dropped.", _REMOVED, _SERIES_PER_METRIC),
    (
        "tsdb_exemplar_series_with_exemplars_in_storage",
        "Series that have an exemplar.",
        _ACTIVE,
        _SERIES_PER_EXEMPLAR,
    ),
)


def ingester_families(process: Ingester) -> Iterator[str]:
    """The families that only an ingester has; counted per replica."""
    prefix = "cortex_ingester_"
    present = {
        name: tenant for name, tenant in process.tenants.items() if tenant.created or tenant.memory
    }
    memory_series = process.memory_series // 1
    yield family(prefix + "memory_series", "gauge", "Series in memory.", [("", memory_series)])
    yield family(prefix + "memory_users", "gauge", "Tenants in memory.", [("", len(present))])
    for suffix, help_text, counted, how_many in _TOLD:
        samples = [(user(name), counted(tenant) // how_many) for name, tenant in present.items()]
        kind: Kind = "counter" if suffix.endswith("_total") else "gauge"
        yield family(prefix + suffix, kind, help_text, samples)
    yield family(
        prefix + "local_limits",
        "gauge",
        "This ingester's part of the tenant's limit.",
        [
            (
                f'{{limit="max_global_series_per_user",user="{name}"}}',
                process.local_limit(name),
            )
            for name in present
        ],
    )
    yield family(
        "cortex_discarded_samples_total",
        "counter",
        "Samples dropped, and why.",
        [
            (f'{{group="",reason="{reason}",user="{name}"}}', rejected // 1)
            for name, tenant in present.items()
            for reason, rejected in (
                ("per_user_series_limit", tenant.rejected - tenant.rejected_by_metric),
                ("per_metric_series_limit", tenant.rejected_by_metric),
            )
            if rejected >= 1
        ],
    )
    limits = {
        "max_inflight_push_requests": 30_000,
        "max_inflight_push_requests_bytes": 0,
        "max_ingestion_rate": 0,
        "max_series": 3_000_000,
        "max_tenants": 0,
    }
    yield from instance_families(process, prefix=prefix, section="ingester_limits", defaults=limits)
