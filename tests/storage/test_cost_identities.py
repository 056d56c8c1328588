"""What holds of every report of costs: its rows add up, to the last digit, however it is asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.cost.attribution import divided
from policy.cost.bills import bills
from policy.cost.calibration import calibrated
from policy.cost.periods import Period, Unit, pieces
from policy.cost.pricing import Method, Terms, priced
from policy.cost.report import By, Shared, report
from policy.cost.teams import TEAMS
from policy.cost.usage import IMPORTED, USAGE
from storage.costs import replace_costs, replace_teams
from storage.database import Database
from storage.spending import idle, spent
from tests.policy.cost.tables import EVERYTHING, book, rules

HOUR = timedelta(hours=1)
# Around a change of clocks, the end of a month, or both; in UTC, whole hours.
PLACES = {
    "Europe/Berlin": [
        datetime(2026, 3, 28, 20, tzinfo=UTC),
        datetime(2026, 10, 24, 20, tzinfo=UTC),
    ],
    "America/New_York": [datetime(2026, 3, 8, 1, tzinfo=UTC), datetime(2026, 11, 1, 0, tzinfo=UTC)],
    "Australia/Lord_Howe": [datetime(2026, 4, 4, 10, tzinfo=UTC)],
    "Asia/Kolkata": [datetime(2026, 5, 31, 14, tzinfo=UTC)],
    "UTC": [datetime(2026, 2, 28, 18, tzinfo=UTC), datetime(2026, 12, 31, 18, tzinfo=UTC)],
}
MOMENTS = [(zone, start) for zone, starts in PLACES.items() for start in starts]
HOURS = 16
RATE = st.none() | st.floats(0, 1e6)
PART = st.floats(0, 2e6)
HOUR_OF = st.tuples(st.integers(0, HOURS - 1), st.sampled_from("abc"))


@st.composite
def ledgers(draw: st.DrawFn) -> dict[str, Any]:
    """Hours of usage, and how they are priced, divided and asked for."""
    bill = draw(st.none() | st.decimals("0.01", "90000", places=2))
    lists = [
        {
            **EVERYTHING,
            **({} if bill is None else {"monthlyBill": bill, "calibrate": draw(st.booleans())}),
        }
    ]
    zone, start = draw(st.sampled_from(MOMENTS))
    if draw(st.booleans()):  # another list from the local day in the middle on
        day = (start + 8 * HOUR).astimezone(ZoneInfo(zone)).date()
        lists.append({"from": day, "perMillionSamples": "0.123456789", "perQuery": "7e-9"})
    hours = draw(st.lists(HOUR_OF, min_size=1, max_size=12, unique=True))
    parts = st.tuples(HOUR_OF, st.sampled_from(["blue", "red", "__overflow__"]), st.booleans())
    return {
        "zone": zone,
        "start": start,
        "lists": lists,
        "method": draw(st.sampled_from(get_args(Method))),
        "usage": [(*each, draw(RATE), draw(RATE), draw(RATE)) for each in hours],
        "parts": [(*each, draw(PART)) for each in draw(st.lists(parts, max_size=8, unique=True))],
        "unit": draw(st.sampled_from(["day", "week", "month", "year"])),
        "shared": draw(st.sampled_from(get_args(Shared))),
        "cut": draw(st.integers(0, HOURS - 1)),
    }


def frames(ledger: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """USAGE and what is attributed of it (IMPORTED)."""
    start = ledger["start"]
    used = [
        {
            "at": start + hour * HOUR,
            "tenant": tenant,
            "covered_seconds": 3600.0,
            "samples_per_second": samples,
            "active_series": series,
            "memory_series": series,
            "queries_per_second": queries,
        }
        for hour, tenant, samples, series, queries in ledger["usage"]
    ]
    signals = ("attributed_active_series", "attributed_samples_per_second")
    parts = [
        (start + hour * HOUR, tenant, f"{signals[of_samples]}:{team}", mean, 1800.0)
        for (hour, tenant), team, of_samples, mean in ledger["parts"]
    ]
    return pl.DataFrame(used, schema=USAGE), pl.DataFrame(parts, schema=IMPORTED, orient="row")


def sums(
    charged: pl.DataFrame, rest: pl.DataFrame, *, by: tuple[By, ...], shared: Shared
) -> dict[int, Decimal]:
    """What each window comes to, by its rows."""
    found = report(charged, idle=rest, by=by, shared=shared)
    assert (found.filter(kind="charged")["amount"].drop_nulls() >= 0).all()
    totals = found.drop_nulls("amount").group_by("number").agg(pl.col("amount").sum())
    return dict(totals.iter_rows())


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ledger=ledgers())
def test_tenants_or_teams_and_what_idles_are_all_of_it_in_every_window(
    database: Database, ledger: dict[str, Any]
) -> None:
    zone = ZoneInfo(ledger["zone"])
    start, end = ledger["start"], ledger["start"] + HOURS * HOUR
    terms = Terms(
        book=book(*ledger["lists"], zone=ledger["zone"]),
        method=ledger["method"],
        weights=rules().weights.model_dump(),
        retention_months=1.0,
    )
    usage, parts = frames(ledger)
    known = usage["at"].unique().implode()
    billed = bills(terms.book, start=start, end=end, zone=zone).filter(pl.col("at").is_in(known))
    costs = calibrated(priced(usage, terms=terms), bills=billed, book=terms.book)
    teams = divided(costs, usage=usage, attributed=parts, terms=terms)
    replace_costs(database, costs, bills=billed, teams=teams, start=start, end=end, run_id="r")
    replace_teams(database, pl.DataFrame([("b", "blue")], schema=TEAMS, orient="row"))
    unit: Unit = ledger["unit"]
    asked = Period(start=start + ledger["cut"] * HOUR, end=end)
    windows = pieces(asked, unit=unit, zone=zone)

    rest, of_teams = idle(database, windows), spent(database, windows, by_team=True)
    by_rows = [
        sums(spent(database, windows), rest, by=("tenant",), shared=ledger["shared"]),
        sums(of_teams, rest, by=("team",), shared=ledger["shared"]),
        sums(of_teams, rest, by=("team", "tenant"), shared=ledger["shared"]),
    ]

    expected: dict[int, Decimal] = {}
    for number, window in enumerate(windows):
        within = pl.col("at").is_between(window.start, window.end, closed="left")
        free = costs.filter(within).join(billed, on="at", how="anti")["amount"].drop_nulls()
        bill = billed.filter(within)["amount"]
        if len(free) or len(bill):
            expected[number] = sum(free, Decimal(0)) + sum(bill, Decimal(0))
    assert by_rows == [expected] * 3


@settings(max_examples=40, deadline=None)
@given(ledger=ledgers())
def test_the_teams_of_a_tenant_pay_what_it_is_charged_part_by_part(ledger: dict[str, Any]) -> None:
    terms = Terms(
        book=book(*ledger["lists"], zone=ledger["zone"]),
        method=ledger["method"],
        weights=rules().weights.model_dump(),
        retention_months=1.0,
    )
    usage, parts = frames(ledger)
    costs = priced(usage, terms=terms)

    teams = divided(costs, usage=usage, attributed=parts, terms=terms)

    together = teams.group_by("at", "tenant").agg(
        pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
        for name in teams.columns
        if name.endswith("amount")
    )
    whole = costs.join(together.select("at", "tenant"), on=["at", "tenant"])
    order = ["at", "tenant"]
    columns = together.columns
    assert whole.select(columns).sort(order).rows() == together.sort(order).rows()
    amounts = teams.select(pl.col("^.*amount$"))
    assert all((amounts[name].drop_nulls() >= 0).all() for name in amounts.columns)


def test_a_calibrated_month_meets_its_bill_to_the_last_digit(database: Database) -> None:
    """
    All 745 hours of Berlin's October, whose bill no number of hours divides, by two tenants.
    """
    zone = ZoneInfo("Europe/Berlin")
    month = Period(
        start=datetime(2026, 9, 30, 22, tzinfo=UTC), end=datetime(2026, 10, 31, 23, tzinfo=UTC)
    )
    hours = [month.start + n * HOUR for n in range(745)]
    usage = pl.DataFrame(
        [
            {"at": at, "tenant": name, "covered_seconds": 3600.0, "samples_per_second": rate + n}
            for n, at in enumerate(hours)
            for name, rate in (("a", 10.0), ("b", 33.0))
        ],
        schema=USAGE,
    )
    known = book(
        {"from": date(2026, 1, 1), "perMillionSamples": 1, "monthlyBill": 1000, "calibrate": True},
        zone="Europe/Berlin",
    )
    billed = bills(known, start=month.start, end=month.end, zone=zone)
    costs = priced(usage, terms=Terms(book=known, method="samples"))
    replace_costs(
        database,
        calibrated(costs, bills=billed, book=known),
        bills=billed,
        start=month.start,
        end=month.end,
        run_id="r",
    )

    amounts = spent(database, [month])["amount"]

    assert sum(amounts, Decimal(0)) == 1000
    assert idle(database, [month])["idle"].to_list() == [0]
