"""The families of queries, rules and alerts, which the process of the overrides-exporter serves.

Everything is a function of the tenant and the time, so nothing has to be lived through: people
query and are alerted most at 14:00 UTC, and large tenants have more rules. No limit on any of
these is enforced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from simulator.exposition import family, user
from simulator.noise import smooth, unit
from simulator.tenants import Tenant

_DAY: Final = 86_400.0
_PEAK: Final = 14.0 / 24.0
_SWING: Final = 0.35

_SAMPLES_PER_SECOND_PER_QUERY: Final = 2_000.0  # a tenant of this size asks one query a second
_SECONDS_PER_QUERY: Final = 0.2
_CHUNKS_PER_SERIES: Final = 6
_BYTES_PER_CHUNK: Final = 400
_SERIES_PER_RULE_GROUP: Final = 20_000.0
_MOST_RULE_GROUPS: Final = 8
_SERIES_PER_ALERT: Final = 2_000.0
_BYTES_PER_ALERT: Final = 420
_ALERTS_PER_NOTIFICATION_PER_SECOND: Final = 600.0


def backend_families(tenants: Sequence[Tenant], *, started_at: float, now: float) -> Iterator[str]:
    """What query-frontend, query-scheduler, ruler and alertmanager tell of the tenants.

    Args:
        tenants: all of them.
        started_at: since when the counters count, in Unix seconds.
        now: the present, in Unix seconds.
    """
    busy_seconds = _until(now) - _until(started_at)
    yield from _queries(tenants, busy_seconds=busy_seconds, now=now)
    yield family(
        "cortex_prometheus_rule_group_rules",
        "gauge",
        "Rules in a group.",
        [
            (f'{{rule_group="/rules/main;group-{group}",user="{tenant.name}"}}', rules)
            for tenant in tenants
            for group, rules in enumerate(_rule_groups(tenant))
        ],
    )
    yield from _alerts(tenants, busy_seconds=busy_seconds, now=now)


def _busy(at: float) -> float:
    """How busy people are at that time of the day, 0.3 to 1."""
    return 1.0 - _SWING + _SWING * math.cos(2.0 * math.pi * (at / _DAY - _PEAK))


def _until(at: float) -> float:
    """The integral of `_busy`: a counter that grows by it never falls."""
    swing = math.sin(2.0 * math.pi * (at / _DAY - _PEAK)) * _DAY / (2.0 * math.pi)
    return (1.0 - _SWING) * at + _SWING * swing


def _queries(tenants: Sequence[Tenant], *, busy_seconds: float, now: float) -> Iterator[str]:
    asked = {
        tenant: tenant.samples_per_second / _SAMPLES_PER_SECOND_PER_QUERY * busy_seconds // 1
        for tenant in tenants
    }
    fetched = {tenant: count * (20.0 + tenant.series // 500.0) for tenant, count in asked.items()}
    yield family(
        "cortex_query_frontend_queries_total",
        "counter",
        "Queries that came in.",
        [
            (f'{{op="{op}",user="{tenant.name}"}}', count * share // 1)
            for tenant, count in asked.items()
            for op, share in (("query_range", 0.7), ("query", 0.3))
        ],
    )
    yield family(
        "cortex_query_seconds_total",
        "counter",
        "Time spent in queriers.",
        [
            (f'{{sharded="false",user="{tenant.name}"}}', count * _SECONDS_PER_QUERY)
            for tenant, count in asked.items()
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
            [(user(tenant.name), count * each) for tenant, count in fetched.items()],
        )
    yield family(
        "cortex_query_scheduler_queue_length",
        "gauge",
        "Queries that wait.",
        [
            (
                user(tenant.name),
                max(0.0, 4.0 * smooth(tenant.key + 5, at=now, period_seconds=30.0)) // 1,
            )
            for tenant in tenants
        ],
    )


def _rule_groups(tenant: Tenant) -> list[int]:
    """The rules of each of the tenant's groups, 4 to 18."""
    groups = min(_MOST_RULE_GROUPS, 1 + int(tenant.series / _SERIES_PER_RULE_GROUP))
    return [4 + int(15.0 * unit(tenant.key + 6, group)) for group in range(groups)]


def _alerts(tenants: Sequence[Tenant], *, busy_seconds: float, now: float) -> Iterator[str]:
    firing = {
        tenant: (1.0 + tenant.series / _SERIES_PER_ALERT) * _busy(now) // 1 for tenant in tenants
    }
    prefix = "cortex_alertmanager_"
    yield family(
        prefix + "alerts_limiter_current_alerts",
        "gauge",
        "Alerts held.",
        [(user(tenant.name), alerts) for tenant, alerts in firing.items()],
    )
    yield family(
        prefix + "alerts_limiter_current_alerts_size_bytes",
        "gauge",
        "Size of the alerts held.",
        [(user(tenant.name), alerts * _BYTES_PER_ALERT) for tenant, alerts in firing.items()],
    )
    yield family(
        prefix + "silences",
        "gauge",
        "Silences by state.",
        [
            (f'{{state="{state}",user="{tenant.name}"}}', most * unit(tenant.key + salt) // 1)
            for tenant in tenants
            for salt, (state, most) in enumerate((("active", 4.0), ("expired", 9.0)), start=7)
        ],
    )
    yield family(
        prefix + "notifications_total",
        "counter",
        "Notifications sent.",
        [
            (
                f'{{integration="webhook",user="{tenant.name}"}}',
                (1.0 + tenant.series / _SERIES_PER_ALERT)
                / _ALERTS_PER_NOTIFICATION_PER_SECOND
                * busy_seconds
                // 1,
            )
            for tenant in tenants
        ],
    )
