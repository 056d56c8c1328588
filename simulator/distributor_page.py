"""A distributor's own families: what tenants asked, what passed the limiter, what it dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from simulator.distributor import EXEMPLARS_PER_SAMPLE, METADATA_PER_SAMPLE, TenantOnDistributor
from simulator.exposition import family, user
from simulator.process_page import instance_families
from simulator.processes import Distributor

_DISTRIBUTOR_COUNTERS: Final[
    tuple[tuple[str, str, Callable[[TenantOnDistributor], float]], ...]
] = (
    (
        "received_requests_total",
        "Requests that passed the limiter.",
        lambda tenant: tenant.received_requests,
    ),
    (
        "samples_in_total",
        "Samples that came in, those later dropped included.",
        lambda tenant: tenant.read_requests * tenant.samples_per_request,
    ),
    (
        "received_samples_total",
        "Samples that passed the limiter.",
        lambda tenant: tenant.received_requests * tenant.samples_per_request,
    ),
    (
        "exemplars_in_total",
        "Exemplars that came in.",
        lambda tenant: (
            tenant.read_requests * tenant.samples_per_request * EXEMPLARS_PER_SAMPLE // 1
        ),
    ),
    (
        "received_exemplars_total",
        "Exemplars that passed the limiter.",
        lambda tenant: (
            tenant.received_requests * tenant.samples_per_request * EXEMPLARS_PER_SAMPLE // 1
        ),
    ),
    (
        "metadata_in_total",
        "Metadata entries that came in.",
        lambda tenant: tenant.read_requests * tenant.samples_per_request * METADATA_PER_SAMPLE // 1,
    ),
    (
        "received_metadata_total",
        "Metadata entries that passed the limiter.",
        lambda tenant: (
            tenant.received_requests * tenant.samples_per_request * METADATA_PER_SAMPLE // 1
        ),
    ),
)


def distributor_families(process: Distributor, *, replication_factor: int) -> Iterator[str]:
    """The families that only a distributor has; a forgotten tenant is in none of them."""
    prefix = "cortex_distributor_"
    seen = {
        name: tenant for name, tenant in process.tenants.items() if tenant.latest_seen is not None
    }
    yield family(
        prefix + "requests_in_total",
        "counter",
        "Requests that came in, those later refused included.",
        [(f'{{user="{name}",version="1.0"}}', seen[name].requests_in) for name in seen],
    )
    for suffix, help_text, value in _DISTRIBUTOR_COUNTERS:
        samples = [(user(name), value(tenant)) for name, tenant in seen.items()]
        yield family(prefix + suffix, "counter", help_text, samples)
    yield family(
        prefix + "latest_seen_sample_timestamp_seconds",
        "gauge",
        "Time of the newest sample.",
        [(user(name), tenant.latest_seen or 0.0) for name, tenant in seen.items()],
    )
    yield from _discards_on_distributor(seen)
    limits = {
        "max_inflight_push_requests": 2_000,
        "max_inflight_push_requests_bytes": 0,
        "max_ingestion_rate": 0,
    }
    yield from instance_families(
        process, prefix=prefix, section="distributor_limits", defaults=limits
    )
    yield family(
        prefix + "replication_factor", "gauge", "Replicas of a series.", [("", replication_factor)]
    )
    yield family(prefix + "ingest_storage_enabled", "gauge", "1 with ingest storage.", [("", 0)])


def _discards_on_distributor(seen: dict[str, TenantOnDistributor]) -> Iterator[str]:
    """What the limiter dropped; a tenant that never lost a sample has no row, as in Mimir."""
    dropped = {
        name: tenant.read_requests - tenant.received_requests
        for name, tenant in seen.items()
        if tenant.read_requests > tenant.received_requests
    }
    yield family(
        "cortex_discarded_samples_total",
        "counter",
        "Samples dropped, and why.",
        [
            (
                f'{{group="",reason="rate_limited",user="{name}"}}',
                requests * seen[name].samples_per_request,
            )
            for name, requests in dropped.items()
        ],
    )
    yield family(
        "cortex_discarded_requests_total",
        "counter",
        "Requests dropped, and why.",
        [
            (f'{{reason="rate_limited",user="{name}"}}', tenant.requests_in - tenant.read_requests)
            for name, tenant in seen.items()
            if tenant.requests_in > tenant.read_requests
        ],
    )
    for kind, share in (("exemplars", EXEMPLARS_PER_SAMPLE), ("metadata", METADATA_PER_SAMPLE)):
        yield family(
            f"cortex_discarded_{kind}_total",
            "counter",
            f"What was dropped of the {kind}, and why.",
            [
                (
                    f'{{reason="rate_limited",user="{name}"}}',
                    requests * seen[name].samples_per_request * share // 1,
                )
                for name, requests in dropped.items()
            ],
        )
