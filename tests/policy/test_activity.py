"""Who is at work, idle or gone, by the hours in which somebody looked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.activity import ACTIVITY, STATES, states
from policy.errors import ConfigError
from policy.settings import Settings, parse_settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def activity(*, quiet_hours: float, absent_hours: float) -> pl.DataFrame:
    row = ("a", NOON, NOON, NOON, quiet_hours, absent_hours)
    return pl.DataFrame([row], schema=ACTIVITY, orient="row")


@pytest.mark.parametrize(
    ("quiet_hours", "absent_hours", "state"),
    [
        (0, 0, "seen"),
        (12.9, 12.9, "seen"),
        (13, 0, "idle"),
        (1_000, 719.9, "idle"),
        (1_000, 720, "gone"),
        (0, 720, "gone"),
    ],
)
def test_the_state_follows_from_the_hours(
    quiet_hours: float, absent_hours: float, state: str
) -> None:
    """A tenant that is still on a page is never gone, however long it asks for nothing."""
    found = states(
        activity(quiet_hours=quiet_hours, absent_hours=absent_hours),
        inactive_after=timedelta(hours=13),
        gone_after=timedelta(days=30),
    )

    assert found.schema == STATES
    assert found.rows() == [("a", state)]


def test_the_defaults_are_mimirs_idle_time_and_our_own_history() -> None:
    scoping = Settings().tenant_scoping

    assert scoping.inactive_after == timedelta(hours=13)
    assert scoping.gone_after == timedelta(days=30)


def test_a_tenant_cannot_be_gone_before_it_is_idle() -> None:
    with pytest.raises(ConfigError, match=r"tenantScoping\.goneAfter: must not be shorter than"):
        parse_settings({"tenantScoping": {"inactiveAfter": "2h", "goneAfter": "1h"}})
