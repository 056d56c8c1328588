"""What was spent by day, and how budgets stand, stored and read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from policy.cost.alerts import ALERTS
from policy.cost.bills import BILLS
from policy.cost.periods import Period, pieces
from policy.cost.pricing import COSTS
from policy.cost.standing import CHARGED, DAYS
from policy.cost.teams import TEAMS
from storage.budgets import STANDING, open_alerts, read_budgets, record_alerts, replace_budgets
from storage.costs import replace_costs, replace_teams
from storage.database import Database
from storage.maintenance import apply_retention
from storage.rollups import ROLLUPS, import_rollups
from storage.spending import charged
from storage.usual_needs import NEEDS, usual_needs

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 3, 3, 23, tzinfo=UTC)  # in Berlin, of the 4th
HOUR = timedelta(hours=1)


def store(database: Database, *rows: tuple[datetime, str, str | None, str], bill: str) -> None:
    costs = pl.DataFrame(
        [
            {
                "at": at,
                "tenant": tenant,
                "currency": currency,
                "method": "samples",
                "amount": amount and Decimal(amount),
                "covered_seconds": 3600.0,
            }
            for at, tenant, amount, currency in rows
        ],
        schema=COSTS,
    )
    hours = sorted({at for at, *_ in rows})
    bills = [(at, "USD", Decimal(bill)) for at in hours] if bill else []
    replace_costs(
        database,
        costs,
        bills=pl.DataFrame(bills, schema=BILLS, orient="row"),
        start=hours[0],
        end=hours[-1] + HOUR,
        run_id="r",
    )


def days() -> list[Period]:
    return pieces(
        Period(start=MIDNIGHT - 24 * HOUR, end=MIDNIGHT + 24 * HOUR), unit="day", zone=BERLIN
    )


def test_a_day_is_charged_by_tenant_in_the_time_zone_and_in_one_currency(
    database: Database,
) -> None:
    store(
        database,
        (MIDNIGHT - HOUR, "a", "1", "USD"),
        (MIDNIGHT, "a", "2", "USD"),
        (MIDNIGHT + HOUR, "a", "4", "USD"),
        (MIDNIGHT, "b", None, "USD"),
        (MIDNIGHT, "c", "100", "EUR"),
        bill="",
    )
    replace_teams(database, pl.DataFrame([("a", "blue")], schema=TEAMS, orient="row"))

    amounts, of_days = charged(database, days(), currency="USD")

    assert amounts.schema == CHARGED
    assert amounts.rows() == [
        (0, "a", "blue", 1),
        (1, "a", "blue", 6),
        (1, "b", "unattributed", None),
    ]
    assert of_days.schema == DAYS
    assert of_days.select("number", "hours", "idle").rows() == [(0, 1, None), (1, 2, None)]


def test_what_idles_on_a_day_is_its_bill_without_what_is_charged(database: Database) -> None:
    store(
        database,
        (MIDNIGHT, "a", "2", "USD"),
        (MIDNIGHT, "b", "1.5", "USD"),
        (MIDNIGHT + HOUR, "a", None, "USD"),
        bill="10",
    )

    _, of_days = charged(database, days(), currency="USD")

    assert of_days.select("hours", "idle").rows() == [(0, None), (2, Decimal("16.5"))]


@pytest.mark.parametrize("asked_by", ["its owner", "another process"])
def test_how_budgets_stand_is_replaced_as_a_whole_and_the_least_left_comes_first(
    path: Path, now: datetime, asked_by: str
) -> None:
    def standing(name: str, left: str | None) -> dict[str, Any]:
        return {
            "scope": "tenant",
            "name": name,
            "unit": "month",
            "budget": Decimal(10),
            "enforced": False,
            "currency": "USD",
            "starts": now,
            "ends": now + HOUR,
            "left": left and Decimal(left),
            "passed": 0.5,
            "hours": 3,
            "crosses_on": now.date(),
        }

    with Database.open(str(path), clock=lambda: now) as database:
        for names in (["gone"], ["more", "unknown", "less"]):
            amounts = {"less": "-1", "more": "5", "unknown": None, "gone": "0"}
            frame = pl.DataFrame([standing(each, amounts[each]) for each in names], schema=STANDING)
            replace_budgets(database, frame, at=now)
        found = read_budgets(database) if asked_by == "its owner" else None
    found = read_budgets(str(path)) if found is None else found

    assert found.schema == STANDING
    assert found["name"].to_list() == ["less", "more", "unknown"]
    assert found.select("at", "crosses_on").unique().rows() == [(now, now.date())]


def alert(now: datetime, *, kind: str, starts: datetime | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "scope": "tenant",
        "name": "acme",
        "unit": "month",
        "starts": starts,
        "threshold": 50.0,
        "severity": "info",
        "reached": 51.0,
        "because": "acme used 51 %",
        "evidence": "{}",
        "at": now,
    }


@pytest.mark.parametrize("starts", [MIDNIGHT, None], ids=["of a period", "of none"])
def test_an_alert_is_open_until_it_is_over_and_stays_in_the_history(
    database: Database, now: datetime, starts: datetime | None
) -> None:
    nothing = pl.DataFrame(schema=ALERTS)
    both = pl.DataFrame(
        [alert(now, kind="threshold", starts=starts), alert(now, kind="burn", starts=starts)],
        schema=ALERTS,
    )
    record_alerts(database, began=both, over=nothing)
    over = both.filter(kind="threshold").with_columns(over_at=pl.lit(now + HOUR))

    record_alerts(database, began=nothing, over=over.cast(ALERTS))

    assert open_alerts(database)["kind"].to_list() == ["burn"]
    kept = database.cursor().execute("select kind, over_at from v_cost_alerts order by kind")
    assert kept.fetchall() == [("burn", None), ("threshold", now + HOUR)]


def test_the_usual_need_is_the_median_hour_of_those_that_are_looked_back_at(
    database: Database, now: datetime
) -> None:
    """An hour in eight is a peak. Below a day of hours nothing is usual."""
    rows = [
        {
            "at": now - (hour + 1) * HOUR + bucket * timedelta(minutes=5),
            "tenant": tenant,
            "signal": "asked",
            "count": 1,
            "coverage": 1.0,
            **dict.fromkeys(("max", "mean", "sum"), level),
        }
        for tenant, hours in (("acme", 30), ("young", 23))
        for hour in range(hours)
        for bucket in range(12)
        for level in [1000.0 if hour % 8 == 0 else 10.0]
    ]
    import_rollups(database, pl.DataFrame(rows, schema=ROLLUPS), now=now, sustained_for=HOUR)

    def needs(window: timedelta) -> list[tuple[Any, ...]]:
        found = usual_needs(
            database,
            limits={"limit": "asked"},
            tenants=["acme", "young", "nobody"],
            now=now,
            window=window,
        )
        assert found.schema == NEEDS
        return found.rows()

    assert needs(30 * HOUR) == [("acme", "limit", 10.0)]
    assert needs(23 * HOUR) == []


def test_alerts_that_are_over_go_with_the_costs_and_open_ones_stay(
    database: Database, now: datetime
) -> None:
    both = pl.DataFrame(
        [alert(now, kind="threshold", starts=now), alert(now, kind="burn", starts=now)],
        schema=ALERTS,
    )
    record_alerts(database, began=both, over=pl.DataFrame(schema=ALERTS))
    over = both.filter(kind="threshold").with_columns(over_at=pl.lit(now)).cast(ALERTS)
    record_alerts(database, began=pl.DataFrame(schema=ALERTS), over=over)

    later = now + timedelta(days=401)
    deleted = apply_retention(database, now=later, sustained_for=HOUR)

    assert deleted["cost_alerts"] == 1
    assert open_alerts(database)["kind"].to_list() == ["burn"]
