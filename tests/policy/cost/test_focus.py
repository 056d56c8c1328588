"""Costs in the columns of FOCUS, held against the specification.

`focus-1.4.csv` was written by hand from the dataset Cost and Usage of the specification: every
column that is mandatory, and those of the others that an internal service can fill.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from policy.cost.focus import FOCUS, Issuer, focus
from policy.cost.periods import Period, pieces
from policy.cost.pricing import COMPONENTS, QUANTITIES, priced
from policy.cost.terms import terms_of
from policy.cost.usage import USAGE
from policy.frames import UTC_TIME
from policy.settings import parse_settings
from policy.settings.cost import CostControl

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2026, 10, 23, 22, tzinfo=UTC)  # midnight of the 24th in Berlin
LAST = datetime(2026, 10, 26, 23, tzinfo=UTC)  # of the 27th; the clocks change on the 25th
DAYS = pieces(Period(start=FIRST, end=LAST), unit="day", zone=BERLIN)
ISSUER = Issuer(provider="Platform team", account="mimir-prod")
RULES = {
    "timeZone": "Europe/Berlin",
    "globalBudget": {"currency": "EUR"},
    "prices": [
        {"from": "2026-01-01", "perMillionSamples": 2, "perThousandSeriesHours": 3},
        {"from": "2026-10-26", "perMillionSamples": 4, "perThousandSeriesHours": 3},
    ],
}
TEAMS = {"acme": "blue", "beta": "unattributed", 'ga"mma': 'th"e <b>'}
SPECIFIED = list(
    csv.DictReader(
        (Path(__file__).parents[2] / "fixtures" / "focus-1.4.csv")
        .read_text(encoding="utf-8")
        .splitlines()
    )
)
TYPES = {
    "decimal": pl.Decimal(38, 9),
    "string": pl.String(),
    "json": pl.String(),
    "moment": UTC_TIME,
}


def rules(**changed: object) -> CostControl:
    return parse_settings({"costControl": {**RULES, **changed}}).cost_control


def costs(charged_by: CostControl) -> pl.DataFrame:
    """Each hour 1,000 samples a second and 500 series, twice and three times as many."""
    hours = [FIRST + n * HOUR for n in range((LAST - FIRST) // HOUR)]
    usage = [
        (at, tenant, 3600.0, 1000.0 * size, 500.0 * size, None, None, None, None)
        for at in hours
        for size, tenant in enumerate(TEAMS, start=1)
    ]
    return priced(pl.DataFrame(usage, schema=USAGE, orient="row"), terms=terms_of(charged_by))


def by_day(found: pl.DataFrame) -> pl.DataFrame:
    """What the history answers: sums by day and tenant."""
    amounts = ["amount", *(f"{name}_amount" for name in COMPONENTS)]
    frames = [
        found.filter(pl.col("at").is_between(day.start, day.end, closed="left"))
        .group_by("tenant", "currency")
        .agg(
            *(_sum(name) for name in [*amounts, *QUANTITIES]),
            hours=pl.len().cast(pl.Int64),
            covered_hours=pl.col("covered_seconds").sum() / 3600,
            unknown=pl.col("unknown").replace("", None).drop_nulls().first(),
        )
        .with_columns(
            number=pl.lit(number, dtype=pl.Int64),
            listed="amount",
            team=pl.col("tenant").replace_strict(TEAMS),
        )
        for number, day in enumerate(DAYS)
    ]
    return pl.concat(frames)


def _sum(name: str) -> pl.Expr:
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)


IDLE = pl.DataFrame(
    {
        "number": [0, 1, 2],
        "currency": ["EUR"] * 3,
        "idle": [Decimal("1.5"), Decimal("-0.25"), Decimal(0)],
    },
    schema_overrides={"idle": pl.Decimal(38, 9)},
)


def told(
    *, charged_by: CostControl | None = None, asked_by: CostControl | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    spent = by_day(costs(charged_by or rules()))
    rows = focus(
        spent,
        idle=IDLE,
        days=DAYS,
        zone=BERLIN,
        terms=terms_of(asked_by or rules()),
        issuer=ISSUER,
    )
    return spent, rows


def test_what_was_scaled_to_the_bill_is_charged_so_and_listed_at_list_price() -> None:
    spent = by_day(costs(rules())).with_columns(amount=pl.col("amount") * 3)

    rows = focus(
        spent, idle=IDLE, days=DAYS, zone=BERLIN, terms=terms_of(rules()), issuer=ISSUER
    ).filter(pl.col("ChargeCategory") == "Usage")

    assert set(rows["SkuId"]) == {"samples", "series_hours"}
    assert rows["BilledCost"].sum() == rows["EffectiveCost"].sum() == spent["amount"].sum()
    assert rows["ListCost"].sum() == rows["ContractedCost"].sum() == spent["listed"].sum()
    off = rows["BilledCost"].cast(pl.Float64) / rows["ListCost"].cast(pl.Float64) - 3
    assert off.abs().max() < 1e-6


def test_every_mandatory_column_is_there_and_none_that_the_specification_does_not_know() -> None:
    ours = [name for name in FOCUS.names() if not name.startswith("x_")]

    assert ours == [column["column"] for column in SPECIFIED]
    assert FOCUS.names()[: len(ours)] == sorted(ours)


@pytest.mark.parametrize("column", SPECIFIED, ids=lambda column: column["column"])
def test_a_column_has_the_type_the_nulls_and_the_values_of_the_specification(
    column: dict[str, str],
) -> None:
    _, rows = told()
    values = rows[column["column"]]

    assert values.dtype == TYPES[column["type"]]
    assert column["nulls"] == "yes" or values.null_count() == 0
    if column["allowed"]:
        assert set(values.drop_nulls()) <= set(column["allowed"].split("|"))
    if column["type"] == "json":
        assert all(isinstance(json.loads(value), dict) for value in values.drop_nulls())


def test_usage_names_its_price_and_an_adjustment_has_none() -> None:
    """
    The specification lets quantities and prices be null exactly where there is no SKU price.
    """
    _, rows = told()
    of_a_price = [
        "SkuId",
        "SkuPriceId",
        "SkuMeter",
        "ListUnitPrice",
        "ContractedUnitPrice",
        "PricingCategory",
        "PricingQuantity",
        "PricingUnit",
        "ConsumedQuantity",
        "ConsumedUnit",
        "SubAccountId",
    ]

    usage = rows.filter(pl.col("ChargeCategory") == "Usage").select(of_a_price)
    rest = rows.filter(pl.col("ChargeCategory") != "Usage").select(of_a_price)

    assert usage.null_count().row(0) == (0,) * len(of_a_price)
    assert rest.null_count().row(0) == (2,) * len(of_a_price)


def test_what_is_billed_is_what_all_of_it_cost_to_the_last_digit() -> None:
    spent, rows = told()

    assert rows["BilledCost"].sum() == spent["amount"].sum() + Decimal("1.25")
    for name in ("EffectiveCost", "ListCost", "ContractedCost"):
        assert rows[name].equals(rows["BilledCost"])


def test_list_cost_is_the_price_times_the_quantity() -> None:
    """
    Apart from what rounding by the hour leaves.
    """
    _, rows = told()
    product = pl.col("ListUnitPrice") * pl.col("PricingQuantity")

    apart = rows.select((pl.col("ListCost") - product).abs().max()).item()

    assert apart <= Decimal("0.000001")


def test_a_row_is_what_a_tenant_used_of_one_thing_in_one_day() -> None:
    """
    On the 25th there are 25 hours: 90 million samples at 2 a million, of which half counts, since
    queries have no price; and 12,500 series-hours at 3 a thousand.
    """
    _, rows = told()
    day = rows.filter(
        pl.col("SubAccountId") == "acme",
        pl.col("ChargePeriodStart") == datetime(2026, 10, 24, 22, tzinfo=UTC),
    )

    found = day.select(
        "SkuId", "ConsumedQuantity", "PricingQuantity", "PricingUnit", "ListUnitPrice", "BilledCost"
    ).rows()
    assert found == [
        ("samples", 90_000_000, 90, "1000000 Samples", 1, 90),
        ("series_hours", 12_500, Decimal("12.5"), "1000 Series-Hours", Decimal("1.5"), 18.75),
    ]
    assert day["ChargePeriodEnd"].unique().to_list() == [datetime(2026, 10, 25, 23, tzinfo=UTC)]
    assert day["BillingPeriodStart"].unique().to_list() == [datetime(2026, 9, 30, 22, tzinfo=UTC)]
    assert day["BillingPeriodEnd"].unique().to_list() == [datetime(2026, 10, 31, 23, tzinfo=UTC)]
    assert day["ChargeDescription"][0] == (
        "Samples accepted, at 2 EUR per million samples, of which 0.5 counts"
    )


def test_each_day_has_the_price_of_its_list() -> None:
    _, rows = told()

    prices = rows.filter(pl.col("SkuId") == "samples", pl.col("SubAccountId") == "acme")

    assert prices["ListUnitPrice"].to_list() == [1, 1, 2]


def test_what_idles_is_a_row_of_its_day_and_no_row_where_it_is_nothing() -> None:
    _, rows = told()

    idle = rows.filter(pl.col("ChargeCategory") == "Adjustment")

    assert idle["BilledCost"].to_list() == [Decimal("1.5"), Decimal("-0.25")]
    assert idle["ChargeFrequency"].to_list() == ["Recurring", "Recurring"]
    assert idle["Tags"].null_count() == 2


def test_the_team_is_a_tag_and_who_is_in_none_has_no_tag() -> None:
    _, rows = told()

    tags = dict(rows.drop_nulls("SubAccountId").select("SubAccountId", "Tags").unique().rows())

    assert json.loads(tags["acme"]) == {"team": "blue"}
    assert json.loads(tags['ga"mma']) == {"team": 'th"e <b>'}
    assert tags["beta"] is None


@pytest.mark.parametrize(
    "since_then",
    [
        {"costMethod": "samples"},
        {"weights": {"samples": 0.9, "series": 0.1}},
        {"prices": [{"from": "2026-01-01", "perMillionSamples": 5}]},
    ],
    ids=["method", "weights", "prices"],
)
def test_what_was_charged_by_other_settings_is_told_whole_and_without_a_price(
    since_then: dict[str, object],
) -> None:
    """
    No price is named that did not hold.
    """
    spent, rows = told(asked_by=rules(**since_then))

    charged = rows.drop_nulls("SubAccountId")

    assert charged["BilledCost"].sum() == spent["amount"].sum()
    assert charged["ChargeCategory"].unique().to_list() == ["Adjustment"]
    assert charged["ListUnitPrice"].null_count() == charged.height


def test_one_method_books_one_thing_at_its_whole_price() -> None:
    by_samples = rules(costMethod="samples")

    _, rows = told(charged_by=by_samples, asked_by=by_samples)

    used = rows.filter(pl.col("ChargeCategory") == "Usage")
    assert set(used["SkuId"]) == {"samples"}
    assert set(used["ListUnitPrice"]) == {Decimal(2), Decimal(4)}


def test_queries_and_their_seconds_are_two_prices() -> None:
    both = rules(
        costMethod="queries",
        prices=[{"from": "2026-01-01", "perQuery": "0.5", "perQuerySecond": "0.25"}],
    )
    usage = [(FIRST, "acme", 3600.0, None, None, None, 1.0, 3.0, None)]
    charged = priced(pl.DataFrame(usage, schema=USAGE, orient="row"), terms=terms_of(both))

    rows = focus(
        by_day(charged),
        idle=IDLE.clear(),
        days=DAYS,
        zone=BERLIN,
        terms=terms_of(both),
        issuer=ISSUER,
    )

    assert rows.select("SkuId", "ConsumedQuantity", "BilledCost").rows() == [
        ("queries", 3600, 1800),
        ("query_seconds", 10_800, 2700),
    ]


def test_what_has_no_amount_has_no_row() -> None:
    spent = by_day(costs(rules())).with_columns(amount=pl.lit(None, dtype=pl.Decimal(38, 9)))

    rows = focus(
        spent, idle=IDLE.clear(), days=DAYS, zone=BERLIN, terms=terms_of(rules()), issuer=ISSUER
    )

    assert rows.is_empty()
    assert rows.schema == FOCUS
