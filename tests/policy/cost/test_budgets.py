"""What may be spent, by whom, and how far that is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.budgets import BUDGETS, budgets
from policy.cost.periods import Period, period, pieces
from policy.cost.standing import CHARGED, DAYS, STATUS, spending, status
from policy.errors import ConfigError
from policy.settings import parse_settings
from policy.settings.cost import CostControl

BERLIN = ZoneInfo("Europe/Berlin")
# A Thursday: its week began on the 23rd, its month on the 1st.
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def rules(**tree: Any) -> CostControl:  # noqa: ANN401 - a tree of settings
    return parse_settings({"costControl": tree}).cost_control


def rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


def of(name: str, **tree: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a tree of settings
    found = budgets(rules(**tree), tenants=pl.Series(["acme", "dev-1", "dev-2"]))
    assert found.schema == BUDGETS
    return rows(found.filter(name=name), "scope", "unit", "budget", "enforced")


def year_so_far(now: datetime = NOON) -> list[Period]:
    """Every day of the year up to today, in Berlin."""
    start = period("year", at=now, zone=BERLIN).start
    return pieces(
        Period(start=start, end=period("day", at=now, zone=BERLIN).end), unit="day", zone=BERLIN
    )


def priced_days(now: datetime = NOON, *, hours: int = 24, idle: str | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (number, each.start, each.end, hours, idle and Decimal(idle))
            for number, each in enumerate(year_so_far(now))
        ],
        schema=DAYS,
        orient="row",
    )


def charged(*found: tuple[int, str, str, str | None]) -> pl.DataFrame:
    """(days ago, tenant, team, amount)."""
    today = len(year_so_far()) - 1
    return pl.DataFrame(
        [
            (today - ago, tenant, team, amount and Decimal(amount))
            for ago, tenant, team, amount in found
        ],
        schema=CHARGED,
        orient="row",
    )


def stands(amounts: pl.DataFrame, *, days: pl.DataFrame, **tree: Any) -> pl.DataFrame:  # noqa: ANN401
    wanted = budgets(rules(**tree), tenants=pl.Series(["acme", "dev-1"]))
    found = status(
        wanted,
        spent=spending(amounts, days=days, wanted=wanted),
        days=days,
        currency="USD",
        now=NOON,
        zone=BERLIN,
    )
    assert found.schema == STATUS
    return found


def test_a_tenant_has_the_budget_of_its_name_else_of_its_pattern_else_that_of_every_other() -> None:
    tree = {
        "tenantBudgets": {"dev-*": {"daily": 1}, "dev-2": {"daily": 2}},
        "perTenantBudgets": {"daily": 9},
    }

    assert [of(name, **tree)[0][2] for name in ("dev-1", "dev-2", "acme")] == [1, 2, 9]


def test_a_tenant_whose_own_budget_says_nothing_of_a_period_has_none_of_it() -> None:
    found = of("acme", tenantBudgets={"acme": {"daily": 5}}, perTenantBudgets={"monthly": 100})

    assert found == [("tenant", "day", 5, False)]


@pytest.mark.parametrize(
    "tree",
    [
        {"globalBudget": {"daily": 1, "enabled": False}},
        {"globalBudget": {}},
        {"teamBudgets": {"all": {"monthly": 3, "enabled": False}}},
    ],
)
def test_what_is_not_enabled_or_has_no_amount_is_no_budget(tree: dict[str, Any]) -> None:
    assert of("all", **tree) == []


def test_a_budget_bites_only_where_limits_may_be_reduced_at_all() -> None:
    biting = {"globalBudget": {"daily": 1, "enforceBudget": True}}

    assert [of("all", **biting, autoLimitReduction=on)[0][3] for on in (False, True)] == [
        False,
        True,
    ]


def test_each_period_counts_from_its_own_beginning() -> None:
    amounts = charged(
        (0, "acme", "blue", "1"),
        (3, "acme", "blue", "10"),
        (4, "acme", "blue", "100"),
        (25, "acme", "blue", "1000"),
        (26, "acme", "blue", "10000"),
    )

    found = stands(
        amounts,
        days=priced_days(),
        tenantBudgets={"acme": {"daily": 50, "weekly": 50, "monthly": 5000, "annual": 50000}},
    )

    assert dict(rows(found, "unit", "spent")) == {
        "day": 1,
        "week": 11,
        "month": 1111,
        "year": 11111,
    }
    assert dict(rows(found, "unit", "left"))["month"] == Decimal(5000) - 1111
    assert dict(rows(found, "unit", "used"))["day"] == pytest.approx(0.02)


def test_a_team_spends_what_its_tenants_do_and_everybody_what_all_do_and_what_idles() -> None:
    amounts = charged((0, "acme", "blue", "3"), (0, "dev-1", "blue", "4"), (0, "x", "red", "5"))

    found = stands(
        amounts,
        days=priced_days(idle="0.5"),
        globalBudget={"daily": 100},
        teamBudgets={"blue": {"daily": 100}},
        tenantBudgets={"acme": {"daily": 100}},
    )

    assert sorted(rows(found, "scope", "spent", "idle")) == [
        ("global", Decimal("12.5"), Decimal("0.5")),
        ("team", 7, None),
        ("tenant", 3, None),
    ]


def test_without_a_bill_nobody_knows_what_idles() -> None:
    found = stands(
        charged((0, "acme", "blue", "3")), days=priced_days(), globalBudget={"daily": 100}
    )

    assert rows(found, "spent", "idle") == [(3, None)]


def test_a_tenant_without_usage_spent_nothing_once_hours_are_priced_and_before_it_is_unknown() -> (
    None
):
    spent = [
        rows(stands(charged(), days=days, tenantBudgets={"acme": {"daily": 9}}), "spent", "used")
        for days in (priced_days(hours=1), priced_days(hours=0))
    ]

    assert spent == [[(0, 0.0)], [(None, None)]]


def test_what_has_no_price_is_unknown_and_not_nothing() -> None:
    found = stands(
        charged((0, "acme", "blue", None)),
        days=priced_days(),
        tenantBudgets={"acme": {"daily": 9}},
    )

    assert rows(found, "spent", "left", "used") == [(None, None, None)]


def test_what_is_used_most_comes_first_and_what_is_unknown_last() -> None:
    found = stands(
        charged((0, "acme", "a", "3"), (0, "dev-1", "b", "8"), (0, "x", "c", None)),
        days=priced_days(),
        perTenantBudgets={"daily": 10},
        teamBudgets={"c": {"daily": 10}},
    )

    assert [row[0] for row in rows(found, "name")] == ["dev-1", "acme", "c"]


@given(
    amounts=st.lists(
        st.tuples(
            st.integers(0, 300),
            st.sampled_from(["acme", "dev-1", "other"]),
            st.sampled_from(["blue"]),
            st.decimals("0", "1000", places=9).map(str),
        ),
        max_size=30,
    )
)
def test_everybody_spends_the_sum_of_what_tenants_do_to_the_last_digit(
    amounts: list[tuple[int, str, str, str | None]],
) -> None:
    found = stands(charged(*amounts), days=priced_days(), globalBudget={"annual": 1})

    total = sum((Decimal(amount) for *_, amount in amounts if amount), Decimal(0))
    assert found["spent"].to_list() == [total]


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ({"globalBudget": {"monthly": 0}}, "costControl.globalBudget.monthly"),
        ({"tenantBudgets": {"acme": {"daily": -1}}}, "costControl.tenantBudgets.acme.daily"),
        ({"teamBudgets": {"blue": {"annual": "0.0"}}}, "costControl.teamBudgets.blue.annual"),
    ],
)
def test_a_budget_of_nothing_is_refused_by_its_key(scope: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        rules(**scope)

    (line,) = [line for line in str(refusal.value).splitlines() if key in line]
    assert "must be above 0" in line
    assert "leave it out" in line
