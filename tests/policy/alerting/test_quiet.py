"""Until when messages wait: by the clock on the wall, also on the days when it is set."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policy.alerting.quiet import MAINTENANCE, QUIET, held_until
from policy.settings import parse_settings
from policy.settings.alerting import Alerting

BERLIN = "Europe/Berlin"


def settings(**tree: object) -> Alerting:
    return parse_settings({"alerting": tree}).alerting


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quiet(begins: str, ends: str, *, zone: str = BERLIN) -> Alerting:
    return settings(quietHours=[{"from": begins, "until": ends, "timeZone": zone}])


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-26T20:59", None),  # 21:59 in Berlin
        ("2026-11-26T21:00", "2026-11-27T06:00"),
        ("2026-11-27T05:59", "2026-11-27T06:00"),
        ("2026-11-27T06:00", None),
        ("2026-03-28T22:00", "2026-03-29T05:00"),  # the night is an hour shorter
        ("2026-10-24T21:00", "2026-10-25T06:00"),  # and an hour longer
    ],
)
def test_quiet_hours_are_those_of_the_wall(now: str, until: str | None) -> None:
    found = held_until(at(now), priority="P2", tenant=None, alerting=quiet("22:00", "07:00"))

    assert found == (None if until is None else (at(until), QUIET))


def test_what_is_urgent_does_not_wait() -> None:
    night = quiet("00:00", "23:59", zone="UTC")

    for priority, waits in (("P0", False), ("P1", False), ("P2", True), ("P3", True)):
        found = held_until(at("2026-11-26T12:00"), priority=priority, tenant="a", alerting=night)  # type: ignore[arg-type]
        assert (found is not None) is waits


def test_in_a_maintenance_what_concerns_the_tenants_waits_whatever_it_is() -> None:
    window = {"from": "2026-12-01T22:00:00Z", "until": "2026-12-02T02:00:00Z", "tenants": ["b-*"]}
    during = at("2026-12-01T23:00")
    alerting = settings(maintenance=[window])

    def found(tenant: str | None, now: datetime = during) -> tuple[datetime, str] | None:
        return held_until(now, priority="P0", tenant=tenant, alerting=alerting)

    assert found("b-1") == (at("2026-12-02T02:00"), MAINTENANCE)
    assert found("a-1") is None
    assert found(None) is None
    assert found("b-1", at("2026-12-02T02:00")) is None


def test_a_maintenance_of_everybody_is_also_of_what_is_about_nobody() -> None:
    window = {"from": "2026-12-01T22:00:00Z", "until": "2026-12-02T02:00:00Z"}

    found = held_until(
        at("2026-12-01T23:00"), priority="P1", tenant=None, alerting=settings(maintenance=[window])
    )

    assert found == (at("2026-12-02T02:00"), MAINTENANCE)


def test_of_several_the_last_one_counts() -> None:
    alerting = settings(
        quietHours=[{"from": "22:00", "until": "07:00"}],
        maintenance=[{"from": "2026-11-26T22:00:00Z", "until": "2026-11-27T01:00:00Z"}],
    )

    found = held_until(at("2026-11-26T23:00"), priority="P3", tenant="a", alerting=alerting)

    assert found == (at("2026-11-27T07:00"), QUIET)
