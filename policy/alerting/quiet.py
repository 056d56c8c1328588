"""Until when a message waits: quiet hours, and maintenance of tenants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from policy.settings.alerting import Alerting, Maintenance, QuietHours
from policy.settings.channels import Priority

QUIET = "quiet hours"
MAINTENANCE = "maintenance"


def held_until(
    at: datetime, *, priority: Priority, tenant: str | None, alerting: Alerting
) -> tuple[datetime, str] | None:
    """When it may be told, and what holds it until then; None: nothing does.

    Args:
        at: now, aware UTC.
        priority: of the incident.
        tenant: whom it is about; None: nobody in particular.
        alerting: the settings.
    """
    waits = [*_maintained(at, tenant=tenant, windows=alerting.maintenance)]
    waits += [
        (end, QUIET)
        for hours in alerting.quiet_hours
        if priority in hours.priorities and (end := _quiet_until(at, hours)) is not None
    ]
    return max(waits, default=None)


def _maintained(
    at: datetime, *, tenant: str | None, windows: Iterable[Maintenance]
) -> Iterable[tuple[datetime, str]]:
    for window in windows:
        theirs = any(
            pattern == "*" if tenant is None else fnmatchcase(tenant, pattern)
            for pattern in window.tenants
        )
        if theirs and window.begins <= at < window.ends:
            yield window.ends.astimezone(UTC), MAINTENANCE


def _quiet_until(at: datetime, hours: QuietHours) -> datetime | None:
    """The end of the quiet hours that `at` lies in, by the clock on the wall."""
    zone = ZoneInfo(hours.time_zone)
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        begins = datetime.combine(day, hours.begins, tzinfo=zone)
        last = day if hours.begins < hours.ends else day + timedelta(days=1)
        ends = datetime.combine(last, hours.ends, tzinfo=zone)
        # In UTC: two times of one zone are compared by the wall, an hour that comes twice is one.
        if begins.astimezone(UTC) <= at < ends.astimezone(UTC):
            return ends.astimezone(UTC)
    return None
