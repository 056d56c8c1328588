"""The families of rules and alerts, which the process of the overrides-exporter serves.

Everything is a function of the tenant and the time, so nothing has to be lived through: people
are alerted most at 14:00 UTC, and large tenants have more rules. No limit on any of these is
enforced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from simulator.exposition import family, user
from simulator.habits import busy, busy_until
from simulator.noise import unit
from simulator.tenants import Tenant

_SERIES_PER_RULE_GROUP: Final = 20_000.0
_MOST_RULE_GROUPS: Final = 8
_SERIES_PER_ALERT: Final = 2_000.0
_BYTES_PER_ALERT: Final = 420
_ALERTS_PER_NOTIFICATION_PER_SECOND: Final = 600.0


def backend_families(tenants: Sequence[Tenant], *, started_at: float, now: float) -> Iterator[str]:
    """What ruler and alertmanager tell of the tenants.

    Args:
        tenants: all of them.
        started_at: since when the counters count, in Unix seconds.
        now: the present, in Unix seconds.
    """
    busy_seconds = busy_until(now) - busy_until(started_at)
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


def _rule_groups(tenant: Tenant) -> list[int]:
    """The rules of each of the tenant's groups, 4 to 18."""
    groups = min(_MOST_RULE_GROUPS, 1 + int(tenant.series / _SERIES_PER_RULE_GROUP))
    return [4 + int(15.0 * unit(tenant.key + 6, group)) for group in range(groups)]


def _alerts(tenants: Sequence[Tenant], *, busy_seconds: float, now: float) -> Iterator[str]:
    firing = {
        tenant: (1.0 + tenant.series / _SERIES_PER_ALERT) * busy(now) // 1 for tenant in tenants
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
