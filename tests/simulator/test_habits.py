"""Each habit does what its name says, at the time it should."""

from datetime import UTC, datetime

import pytest

from simulator import SimulatorError, operator_overrides, roster
from simulator.habits import HABITS, Moment
from simulator.tenants import Tenant

DAY = 86_400


def demand(habit: str, *, at: datetime, age: float = 0.0) -> float:
    tenant = Tenant(
        name="t", habit=habit, samples_per_second=1_000, series=1_000, churn_per_second=0, key=5
    )
    return tenant.demand(Moment(at.timestamp(), age, 60.0)).samples_per_second


def march(day: int, hour: int) -> datetime:
    """A moment in March 2027; the 1st is a Monday."""
    return datetime(2027, 3, day, hour, tzinfo=UTC)


def test_a_diurnal_tenant_sends_more_by_day_than_by_night() -> None:
    assert demand("diurnal", at=march(3, 14)) > 2 * demand("diurnal", at=march(3, 2))


def test_a_weekly_tenant_rests_on_sunday() -> None:
    assert demand("weekly", at=march(3, 14)) > 1.8 * demand("weekly", at=march(7, 14))


def test_a_growing_tenant_grows() -> None:
    sizes = [demand("growing", at=march(3, 14), age=days * DAY) for days in (-30, -2, 0, 2)]

    assert sizes == sorted(set(sizes))
    assert sizes[0] > 0


def test_a_bursty_tenant_bursts_once_in_ten_minutes_and_not_for_long() -> None:
    start = march(3, 14).timestamp()
    tenant = Tenant(
        name="t", habit="bursty", samples_per_second=1_000, series=10, churn_per_second=0, key=5
    )
    rates = [
        tenant.demand(Moment(start + second, 0.0, 0.0)).samples_per_second for second in range(600)
    ]

    assert 40 <= sum(rate > 3_000 for rate in rates) <= 90


def test_an_idle_tenant_is_mostly_silent() -> None:
    by_hour = [demand("idle", at=march(3, hour)) for hour in range(24)]

    assert by_hour.count(0.0) == 12


@pytest.mark.parametrize(
    ("age", "blasts"), [(59, False), (61, True), (359, True), (361, False), (60 + 1_801, True)]
)
def test_a_blasting_tenant_blasts_for_five_minutes_of_thirty(age: float, *, blasts: bool) -> None:
    rate = demand("blasting", at=march(3, 14), age=age)

    assert (rate > 9_000) is blasts


def test_a_roster_of_eight_shows_every_habit() -> None:
    assert {tenant.habit for tenant in roster(8)} == set(HABITS)


def test_a_large_roster_has_no_name_twice_and_realistic_sizes() -> None:
    tenants = roster(200)

    assert len({tenant.name for tenant in tenants}) == 200
    assert all(100 <= tenant.samples_per_second <= 40_000 for tenant in tenants)
    assert all(tenant.series <= 200_000 for tenant in tenants)


def test_the_operator_wrote_limits_only_for_tenants_that_exist() -> None:
    assert set(operator_overrides(roster(20))) == {"diurnal-1", "growing-1", "steady-3", "steady-5"}
    assert set(operator_overrides(roster(2))) == {"diurnal-1"}


def test_a_roster_of_nobody_is_refused() -> None:
    with pytest.raises(SimulatorError, match="at least 1"):
        roster(0)
