"""The query-frontend's own families: who asked what, what it cost, what waits, what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simulator.exposition import family, user
from simulator.querying import SECONDS_PER_QUERY, QueryFrontend

_CHUNKS_PER_SERIES: Final = 6
_BYTES_PER_CHUNK: Final = 400


def query_families(process: QueryFrontend) -> Iterator[str]:
    """What query-frontend and query-scheduler tell of the tenants."""
    tenants = process.tenants
    yield family(
        "cortex_query_frontend_queries_total",
        "counter",
        "Queries that came in.",
        [
            (f'{{op="{op}",user="{name}"}}', count)
            for name, tenant in tenants.items()
            for op, count in (
                ("query_range", tenant.asked - tenant.asked * 3 // 10),
                ("query", tenant.asked * 3 // 10),
            )
        ],
    )
    yield family(
        "cortex_query_seconds_total",
        "counter",
        "Time spent in queriers.",
        [
            (f'{{sharded="false",user="{name}"}}', tenant.answered * SECONDS_PER_QUERY)
            for name, tenant in tenants.items()
        ],
    )
    for suffix, each in (
        ("series", 1),
        ("chunks", _CHUNKS_PER_SERIES),
        ("chunk_bytes", _CHUNKS_PER_SERIES * _BYTES_PER_CHUNK),
    ):
        yield family(
            f"cortex_query_fetched_{suffix}_total",
            "counter",
            f"What queries fetched: {suffix}.",
            [
                (user(name), tenant.answered * tenant.series_per_query * each)
                for name, tenant in tenants.items()
            ],
        )
    yield family(
        "cortex_query_scheduler_queue_length",
        "gauge",
        "Queries that wait.",
        [(user(name), tenant.waiting) for name, tenant in tenants.items()],
    )
    yield family(
        "cortex_query_scheduler_discarded_requests_total",
        "counter",
        "Queries refused because the tenant's queue was full.",
        [(user(name), tenant.refused) for name, tenant in tenants.items() if tenant.refused],
    )
