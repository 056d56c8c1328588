"""An ingester's own families: series in memory, the local limit, what that turned away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from simulator.exposition import Kind, family, user
from simulator.ingester import TenantOnIngester
from simulator.process_page import instance_families
from simulator.processes import Ingester

_INGESTER_FAMILIES: Final[tuple[tuple[str, str, Callable[[TenantOnIngester], float]], ...]] = (
    (
        "memory_series_created_total",
        "Series put into memory.",
        lambda tenant: tenant.created // 1,
    ),
    (
        "memory_series_removed_total",
        "Series dropped from memory.",
        lambda tenant: tenant.removed // 1,
    ),
    ("active_series", "Series with a recent sample.", lambda tenant: tenant.active // 1),
    ("ingested_samples_total", "Samples stored.", lambda tenant: tenant.ingested // 1),
    (
        "ingested_samples_failures_total",
        "Samples turned away.",
        lambda tenant: tenant.rejected // 1,
    ),
    # Forty series share a metric's name, and so its metadata.
    (
        "memory_metadata_created_total",
        "Metadata entries put into memory.",
        lambda tenant: tenant.created // 40,
    ),
    (
        "memory_metadata_removed_total",
        "Metadata entries dropped from memory.",
        lambda tenant: tenant.removed // 40,
    ),
    (
        "tsdb_exemplar_series_with_exemplars_in_storage",
        "Series that have an exemplar.",
        lambda tenant: tenant.active // 100,
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
    for suffix, help_text, value in _INGESTER_FAMILIES:
        samples = [(user(name), value(tenant)) for name, tenant in present.items()]
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
            (f'{{group="",reason="per_user_series_limit",user="{name}"}}', tenant.rejected // 1)
            for name, tenant in present.items()
            if tenant.rejected >= 1
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
