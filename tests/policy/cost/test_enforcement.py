"""Which limits a budget that is used up caps, how far, and when no more."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cost.budgets import budgets
from policy.cost.enforcement import Ground, bitten, budget_layer
from policy.cost.standing import STATUS
from policy.emergency.caps import base_of
from policy.frames import LAYERS, LIMITS
from policy.layers import Bounds, compose
from policy.settings import parse_settings
from policy.settings.cost import CostControl
from policy.validate import validate

NOW = datetime(2026, 11, 20, 9, 6, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
BASE = {RATE: 10_000.0, BURST: 100_000.0, SERIES: 200_000.0}
NEEDS = {RATE: 2_000.0, BURST: 4_000.0, SERIES: 40_000.0}
TENANTS = pl.Series("tenant", ["acme", "beta", "gamma"])


def rules(**tree: Any) -> CostControl:  # noqa: ANN401 - a tree of settings
    return parse_settings({"costControl": {"autoLimitReduction": True, **tree}}).cost_control


def status(of: CostControl, **used: float | None) -> pl.DataFrame:
    """STATUS of each budget of the settings by how far those of a name are used."""
    wanted = budgets(of, tenants=TENANTS)
    ends = {"day": NOW.replace(hour=0, minute=0) + timedelta(days=1), "month": MONTH_END}
    return pl.DataFrame(
        [
            {
                **row,
                "ends": ends[row["unit"]],
                "starts": NOW - timedelta(days=1),
                "used": used.get(f"{row['name']}_{row['unit']}", used.get(row["name"])),
            }
            for row in wanted.iter_rows(named=True)
        ],
        schema=STATUS,
    )


def capped(of: CostControl, *, critical: Collection[str] = (), **used: float | None) -> list[str]:
    found = bitten(status(of, **used), tenants=TENANTS, rules=of, critical=critical)
    return found["tenant"].to_list()


def ground(
    *,
    base: dict[str, float] | None = None,
    needs: dict[str, float] | None = None,
    minimum: dict[str, float] | None = None,
    request: float | None = None,
    spoken: Collection[str] = (),
    tenants: Collection[str] = ("acme",),
) -> Ground:
    def limits(values: dict[str, float], **schema: str) -> pl.DataFrame:
        rows = [(tenant, *item) for tenant in tenants for item in values.items()]
        return pl.DataFrame(rows, schema=LIMITS, orient="row").rename(schema)

    return Ground(
        base=limits(BASE if base is None else base),
        needs=limits(NEEDS if needs is None else needs, value="need"),
        requests=pl.DataFrame(
            [(tenant, request) for tenant in tenants],
            schema={"tenant": pl.String(), "request": pl.Float64()},
            orient="row",
        ),
        spoken=pl.DataFrame(
            [("acme", limit) for limit in spoken],
            schema={"tenant": pl.String(), "limit": pl.String()},
            orient="row",
        ),
        bounds=Bounds(minimum=minimum or {}),
    )


OWN = rules(tenantBudgets={"acme": {"monthly": 100, "enforceBudget": True}})


def layer(used: float, of: CostControl = OWN, **told: Any) -> pl.DataFrame:  # noqa: ANN401 - of ground
    found = bitten(status(of, acme=used), tenants=TENANTS, rules=of, critical=())
    caps = budget_layer(found, ground=ground(**told), written_at=NOW)
    assert caps.schema == LAYERS
    return caps


def values(caps: pl.DataFrame) -> dict[str, float]:
    return dict(caps.select("limit", "value").iter_rows())


@pytest.mark.parametrize(
    ("used", "rate", "series"),
    [
        (1.0, 6_000, 120_000),
        (1.09, 6_000, 120_000),
        (1.1, 4_000, 80_000),
        (1.25, 2_000, 40_000),
        (9.0, 2_000, 40_000),
    ],
)
def test_the_further_it_is_exceeded_the_nearer_to_the_usual_need(
    used: float, rate: float, series: float
) -> None:
    caps = values(layer(used))

    assert (caps[RATE], caps[SERIES]) == (rate, series)
    assert caps[BURST] >= caps[RATE]


def test_a_budget_that_is_not_used_up_caps_nothing() -> None:
    assert layer(0.999).is_empty()


def test_a_cap_says_why_and_keeps_what_it_was_made_from() -> None:
    row = layer(1.1).row(by_predicate=pl.col("limit") == RATE, named=True)

    assert row["reason"] == (
        "acme used 110 % of the monthly budget: 75 % of the way from 10,000 down to the usual 2,000"
    )
    assert json.loads(row["evidence"]) == {
        "base": 10_000.0,
        "need": 2_000.0,
        "stage": 75.0,
        "scope": "tenant",
        "name": "acme",
        "used": 1.1,
        "period": "month",
    }
    assert row["expires_at"] == MONTH_END


def test_a_raise_beneath_does_not_lift_a_cap() -> None:
    """
    The base is what the limit was when the cap began; it is read from the cap itself.
    """
    first = layer(1.0)
    again = Ground(
        base=base_of(first),
        needs=ground().needs,
        requests=ground().requests,
        spoken=ground().spoken,
        bounds=Bounds(),
    )
    found = bitten(status(OWN, acme=1.05), tenants=TENANTS, rules=OWN, critical=())

    assert values(budget_layer(found, ground=again, written_at=NOW)) == values(first)


def test_what_is_unlimited_is_capped_at_the_last_stage_alone() -> None:
    base = {SERIES: 0.0}

    assert [values(layer(used, base=base)) for used in (1.0, 1.1, 1.25)] == [
        {},
        {},
        {SERIES: 40_000.0},
    ]


def test_a_limit_whose_usual_need_is_not_known_is_not_capped() -> None:
    assert set(values(layer(2.0, needs={RATE: 2_000.0}))) == {RATE}


def test_a_limit_below_what_is_usual_stays_as_it_is() -> None:
    assert RATE not in values(layer(2.0, needs={**NEEDS, RATE: 10_001.0}))


def test_a_burst_lets_requests_in_that_are_four_times_the_mean_and_follows_a_capped_rate() -> None:
    assert values(layer(2.0, request=9_000.0))[BURST] == 36_000
    assert BURST not in values(layer(2.0, needs={**NEEDS, RATE: 10_001.0}))


def test_a_limit_that_a_person_holds_is_left_to_that_person() -> None:
    assert set(values(layer(2.0, spoken=[SERIES]))) == {RATE, BURST}
    assert set(values(layer(2.0, spoken=[RATE]))) == {SERIES}


def test_an_enforced_budget_of_everybody_caps_everybody_but_who_is_critical() -> None:
    everybody = rules(globalBudget={"monthly": 100, "enforceBudget": True})

    assert capped(everybody, all=1.2) == ["acme", "beta", "gamma"]
    assert capped(everybody, all=1.2, critical=["beta"]) == ["acme", "gamma"]


@pytest.mark.parametrize(
    "tree",
    [
        {"globalBudget": {"monthly": 1, "enforceBudget": True}, "autoLimitReduction": False},
        {"globalBudget": {"monthly": 1}},
        {"perTenantBudgets": {"monthly": 1}},
        {"teamBudgets": {"all": {"tenants": ["*"], "monthly": 1}}},
        {"globalBudget": {"monthly": 1, "enforceBudget": True, "enabled": False}},
    ],
)
def test_a_budget_that_is_not_enforced_caps_nobody(tree: dict[str, Any]) -> None:
    assert capped(rules(**tree), all=9.0, acme=9.0, beta=9.0, gamma=9.0) == []


def test_a_team_that_used_up_its_budget_has_its_tenants_capped_and_no_others() -> None:
    of_team = rules(
        teamBudgets={"blue": {"tenants": ["a*", "gamma"], "monthly": 9, "enforceBudget": True}}
    )

    assert capped(of_team, blue=1.0) == ["acme", "gamma"]


@pytest.mark.parametrize(
    ("own", "team", "bites"),
    [
        (None, None, True),
        (False, None, False),
        (True, None, True),
        (None, False, False),
        (None, True, True),
        (True, False, True),
        (False, True, False),
    ],
)
def test_what_is_written_nearest_to_a_tenant_says_whether_everybodys_budget_caps_it(
    *, own: bool | None, team: bool | None, bites: bool
) -> None:
    def budget(word: bool | None) -> dict[str, Any]:  # noqa: FBT001 - one word of two
        return {"annual": 10**6} if word is None else {"enforceBudget": word}

    hybrid = rules(
        globalBudget={"monthly": 100, "enforceBudget": True},
        tenantBudgets={"acme": budget(own) | {"annual": None}},
        teamBudgets={"blue": {"tenants": ["acme"], **budget(team), "annual": None}},
    )

    assert ("acme" in capped(hybrid, all=1.0)) is bites
    assert "beta" in capped(hybrid, all=1.0)


def test_a_tenant_that_says_no_is_spared_by_its_teams_budget_too() -> None:
    hybrid = rules(
        tenantBudgets={"acme": {"enforceBudget": False}},
        teamBudgets={"blue": {"tenants": ["acme", "beta"], "monthly": 9, "enforceBudget": True}},
    )

    assert capped(hybrid, blue=1.0) == ["beta"]


def test_of_several_budgets_the_one_that_is_exceeded_furthest_bites() -> None:
    both = rules(
        tenantBudgets={"acme": {"daily": 1, "monthly": 9, "enforceBudget": True}},
        globalBudget={"monthly": 99, "enforceBudget": True},
    )

    found = bitten(
        status(both, acme_day=1.3, acme_month=1.1, all=1.0),
        tenants=TENANTS,
        rules=both,
        critical=(),
    )

    assert found.select("tenant", "unit", "stage").rows() == [
        ("acme", "day", 100.0),
        ("beta", "month", 50.0),
        ("gamma", "month", 50.0),
    ]


LIMIT = st.floats(1, 1e9)


@given(
    base=st.fixed_dictionaries({RATE: LIMIT, BURST: LIMIT, SERIES: LIMIT}),
    needs=st.fixed_dictionaries({RATE: LIMIT, BURST: LIMIT, SERIES: LIMIT}),
    minimum=st.fixed_dictionaries({}, optional={RATE: LIMIT, BURST: LIMIT, SERIES: LIMIT}),
    used=st.lists(st.floats(0, 5), min_size=2, max_size=2).map(sorted),
    request=st.none() | st.floats(1, 1e6),
)
def test_a_cap_is_never_below_its_floors_nor_above_its_base_and_falls_with_the_overspend(
    base: dict[str, float],
    needs: dict[str, float],
    minimum: dict[str, float],
    used: list[float],
    request: float | None,
) -> None:
    base[BURST] = max(base[BURST], base[RATE])
    told = {"base": base, "needs": needs, "minimum": minimum, "request": request}
    less, more = (values(layer(each, **told)) for each in used)

    for caps in (less, more):
        for limit, value in caps.items():
            assert needs[limit] <= value < base[limit]
            assert value >= minimum.get(limit, 1.0)
        if BURST in caps:
            assert caps[BURST] >= caps[RATE]
    assert less.keys() <= more.keys()
    assert all(more[limit] <= value for limit, value in less.items())


@given(used=st.floats(1, 5))
def test_caps_make_a_document_that_mimir_takes_and_are_gone_when_the_period_turns(
    used: float,
) -> None:
    caps = layer(used)
    beneath = ground().base

    during = compose(caps, beneath=beneath, bounds=Bounds(), now=NOW)
    after = compose(caps, beneath=beneath, bounds=Bounds(), now=MONTH_END)

    assert set(during["limit"]) == set(BASE)
    assert validate(during, known=list(BASE)) == []
    assert after.is_empty()
