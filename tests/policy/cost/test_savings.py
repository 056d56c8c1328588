"""What could be saved, by evidence, in three figures."""

from __future__ import annotations

import shlex
from decimal import Decimal
from io import StringIO
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from policy.activity import STATES
from policy.cost.advice import REACH, TWICE, Past
from policy.cost.prices import price_book
from policy.cost.pricing import Method, Terms
from policy.cost.recommendation import SAVINGS, month_of, worth_telling
from policy.cost.savings import CHURN, Evidence, savings
from policy.cost.tiering import MOVES, PEAKS
from policy.document import parse
from policy.figures import TIMES
from policy.settings import parse_settings
from policy.standings import STANDINGS

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
PRICES = {"from": "2026-01-01", "perMillionSamples": "0.5", "perThousandSeriesHours": "0.02"}
FLOORS = {RATE: 1_000.0, SERIES: 10_000.0}


def terms(*, method: Method = "composite", **prices: Any) -> Terms:  # noqa: ANN401 - a list
    tree = {"costControl": {"prices": [prices or PRICES]}}
    rules = parse_settings(tree).cost_control
    return Terms(book=price_book(rules), method=method, weights=rules.weights.model_dump())


def standing(tenant: str, limit: str, value: float, **told: Any) -> dict[str, Any]:  # noqa: ANN401
    row = {"tenant": tenant, "limit": limit, "value": value, "provision": "over"}
    return {**row, "recommended": value / 10, "recent": value / 20, **told}


def found(
    *standings: dict[str, Any],
    states: dict[str, str] | None = None,
    churn: tuple[tuple[str, float | None, float | None], ...] = (),
    prices: dict[str, Decimal] | None = None,
    floors: dict[str, float] | None = None,
) -> list[dict[str, Any]]:
    known = Evidence(
        standings=pl.DataFrame(standings, schema=STANDINGS),
        states=pl.DataFrame(list((states or {}).items()), schema=STATES, orient="row"),
        churn=pl.DataFrame(list(churn), schema=CHURN, orient="row"),
        past=Past(twice=TWICE.to_frame(), reach=REACH.to_frame(), retention=None),
        members=pl.DataFrame(schema={"tenant": pl.String(), "tier": pl.String()}),
        moves=MOVES.to_frame(),
        peaks=PEAKS.to_frame(),
        floors=FLOORS if floors is None else floors,
        month_of={RATE: Decimal(2)} if prices is None else prices,
    )
    told = savings(known)
    assert told.schema == SAVINGS
    return told.to_dicts()


def test_what_a_limit_allows_at_most_is_priced_as_the_method_books_it() -> None:
    """
    A sample a second for 730.5 hours is 2.6298 million; of the composite samples and series are
    0.5 each where queries have no price.
    """
    assert month_of(terms(method="samples")) == {RATE: Decimal("2.6298") * Decimal("0.5")}
    assert month_of(terms()) == {
        RATE: Decimal("2.6298") * Decimal("0.5") * Decimal("0.5"),
        SERIES: Decimal("0.7305") * Decimal("0.02") * Decimal("0.5"),
    }
    assert month_of(terms(method="resource")) == {}


def test_a_limit_far_above_its_peak_cuts_exposure_and_saves_nothing() -> None:
    (told,) = found(standing("acme", RATE, 50_000.0))

    assert (told["kind"], told["tenant"], told["limit"]) == ("unused quota", "acme", RATE)
    assert told["exposure"] == 45_000 * 2
    assert (told["avoided"], told["realised"]) == (0, 0)
    assert told["because"] == f"the limit of 50,000 is 20 {TIMES} its peak of 2,500"


@pytest.mark.parametrize(
    "told",
    [{"provision": "fits"}, {"provision": None}, {"recommended": None}, {"limit": "max_x"}],
)
def test_a_limit_that_fits_or_that_nobody_can_judge_is_left_alone(told: dict[str, Any]) -> None:
    assert found({**standing("acme", RATE, 50_000.0), **told}) == []


def test_without_a_price_the_exposure_is_unknown_and_not_nothing() -> None:
    for prices in ({}, {RATE: Decimal(2)}):
        (told,) = found(standing("acme", SERIES, 50_000.0), prices=prices)
        assert told["exposure"] is None


def test_an_idle_tenant_needs_no_more_than_the_least() -> None:
    told = found(
        standing("acme", RATE, 50_000.0),
        standing("acme", SERIES, 10_000.0),
        states={"acme": "idle"},
    )

    assert [(each["kind"], each["limit"], each["exposure"]) for each in told] == [
        ("idle tenant", RATE, 49_000 * 2)
    ]
    assert found(standing("acme", RATE, 50_000.0), states={"acme": "idle"}, floors={}) == []


@pytest.mark.parametrize(
    ("created", "active", "kinds"),
    [
        (1.0, 28_800.0, ["churn"]),
        (1.0, 28_801.0, []),
        (1.0, 999.0, []),
        (None, 5_000.0, []),
        (1.0, None, []),
    ],
)
def test_series_that_are_replaced_three_times_a_day_are_told_and_nobody_knows_what_it_saves(
    created: float | None, active: float | None, kinds: list[str]
) -> None:
    told = found(churn=(("acme", created, active),))

    assert [each["kind"] for each in told] == kinds
    assert all((each["exposure"], each["avoided"]) == (None, None) for each in told)
    assert all(each["command"] == "mlo cardinality acme" for each in told)


@pytest.mark.parametrize("tenant", ["acme-1.x", "o'brien", "a*(b)!"])
def test_a_command_names_the_tenant_whatever_its_name_means_to_a_shell(tenant: str) -> None:
    (told,) = found(churn=((tenant, 10.0, 5_000.0),))

    assert shlex.split(told["command"]) == ["mlo", "cardinality", tenant]


@pytest.mark.parametrize("tenant", ["acme", "o'brien", "{braces}: #", "123"])
def test_what_is_told_to_do_is_a_file_that_mimir_reads(tenant: str) -> None:
    (told,) = found(standing(tenant, RATE, 50_000.0))

    assert parse(told["command"].encode()).rows() == [(tenant, RATE, 5_000.0)]
    assert YAML(typ="safe", pure=True).load(StringIO(told["command"]))


def test_what_cuts_most_exposure_comes_first_and_what_is_unknown_last() -> None:
    told = found(
        standing("small", RATE, 10_000.0),
        standing("large", RATE, 90_000.0),
        standing("unknown", SERIES, 90_000.0),
    )

    assert [each["tenant"] for each in told] == ["large", "small", "unknown"]


@pytest.mark.parametrize(
    ("spent", "exposed", "told"),
    [
        (Decimal(1_000), Decimal(1), ["exposure", "avoided"]),  # 5 % are 50
        (Decimal(1_001), Decimal(1), ["avoided"]),
        (Decimal(1_201), Decimal(1), []),
        (None, Decimal(500), ["exposure"]),  # 10 % are 50; what is avoided is a part of no limit
        (None, Decimal(501), []),
        (Decimal(0), Decimal(500), ["exposure"]),
        (None, None, []),
    ],
)
def test_what_is_told_is_a_twentieth_of_what_was_spent_or_a_tenth_of_what_limits_allow(
    spent: Decimal | None, exposed: Decimal | None, told: list[str]
) -> None:
    rows = [
        {"tenant": "exposure", "exposure": Decimal(50), "avoided": Decimal(0)},
        {"tenant": "avoided", "exposure": Decimal(0), "avoided": Decimal(60)},
        {"tenant": "unknown", "exposure": None, "avoided": None},
    ]

    found = worth_telling(pl.DataFrame(rows, schema=SAVINGS), spent=spent, exposed=exposed)

    assert found["tenant"].to_list() == told
