"""Samples sent twice, blocks that nobody asks for, tiers that do not fit; and what was followed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from policy.cost.advice import REACH, TWICE, Past, duplicates, other_tiers, shorter_retention
from policy.cost.realised import FOLLOWED, followed
from policy.cost.recommendation import SAVINGS
from policy.standings import STANDINGS

RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
DAY = timedelta(days=1)
TIERS = {
    "small": {RATE: 1_000.0, SERIES: 50_000.0},
    "large": {RATE: 10_000.0, SERIES: 500_000.0},
    "huge": {RATE: 100_000.0, SERIES: 5_000_000.0},
}
MONTH_OF = {RATE: Decimal(2)}


def past(
    *,
    twice: tuple[float | None, float | None] | None = None,
    reach: tuple[int, float, str | None] | None = None,
    retention: timedelta | None = 365 * DAY,
) -> Past:
    stored = None if reach is None or reach[2] is None else Decimal(reach[2])
    return Past(
        twice=pl.DataFrame([("o'neil", *twice)] if twice else [], schema=TWICE, orient="row"),
        reach=pl.DataFrame(
            [("acme", reach[0], reach[1], stored)] if reach else [], schema=REACH, orient="row"
        ),
        retention=retention,
    )


@pytest.mark.parametrize(
    ("refused", "received", "told"),
    [
        (10.0, 1_000.0, True),
        (9.9, 100.0, False),
        (10.0, 1_000.1, False),
        (None, 1_000.0, False),
        (50.0, None, False),
    ],
)
def test_samples_that_are_sent_twice_are_told_from_a_hundredth_on(
    refused: float | None, received: float | None, *, told: bool
) -> None:
    found = duplicates(past(twice=(refused, received)), month_of=MONTH_OF)

    assert found.schema == SAVINGS
    assert found.height == told


def test_what_is_refused_the_second_time_was_paid_for() -> None:
    (row,) = duplicates(past(twice=(40.0, 1_000.0)), month_of=MONTH_OF).to_dicts()

    assert (row["exposure"], row["avoided"], row["target"]) == (0, 40 * 2, 0)
    assert "of 1,000 samples/s that are let in 40 were sent already" in row["because"]
    override = YAML(typ="safe").load(StringIO(row["command"]))
    assert override == {"overrides": {"o'neil": {"accept_ha_samples": True}}}
    assert duplicates(past(twice=(40.0, 1_000.0)), month_of={})["avoided"].to_list() == [None]


@pytest.mark.parametrize(
    ("days", "reach", "kept", "wanted"),
    [
        (30, 40, 365, 60),  # 40 days and half as much again are two months
        (29, 40, 365, None),
        (30, 120, 365, 180),
        (30, 121, 365, None),  # seven months are more than half a year
        (90, 0.5, 365, 30),
        (90, 0.5, 59, None),
    ],
)
def test_blocks_that_no_query_asks_for_are_told_once_a_month_of_queries_is_known(
    days: int, reach: float, kept: float, wanted: float | None
) -> None:
    known = past(reach=(days, reach * 86_400, "30"), retention=kept * DAY)

    found = shorter_retention(known)

    assert found["target"].to_list() == ([] if wanted is None else [wanted])


def test_of_a_shorter_retention_a_part_of_the_storage_of_a_month_is_avoided() -> None:
    (row,) = shorter_retention(past(reach=(60, 40 * 86_400, "30"), retention=300 * DAY)).to_dicts()

    # 60 of 300 days stay, of a month of 30.4375 days where 30 cost 30.
    assert float(row["avoided"]) == pytest.approx(30.4375 * 4 / 5)
    assert row["command"] == "overrides: {'acme': {compactor_blocks_retention_period: 60d}}"
    unknown = shorter_retention(past(reach=(60, 40 * 86_400, None), retention=300 * DAY))
    assert unknown["avoided"].to_list() == [None]


def test_without_a_retention_nobody_knows_what_is_too_long() -> None:
    assert shorter_retention(past(reach=(60, 86_400.0, "30"), retention=None)).is_empty()


def moved(tier: str, rate: float | None, series: float | None) -> list[dict[str, Any]]:
    standings = pl.DataFrame(
        [
            {"tenant": "acme", "limit": RATE, "recommended": rate},
            {"tenant": "acme", "limit": SERIES, "recommended": series},
        ],
        schema=STANDINGS,
    )
    members = pl.DataFrame({"tenant": ["acme"], "tier": [tier]})
    return other_tiers(standings, tiers=members, limits=TIERS, month_of=MONTH_OF).to_dicts()


def test_a_tenant_whose_needs_a_smaller_tier_holds_is_told_which() -> None:
    (row,) = moved("huge", 900.0, 60_000.0)

    assert row["command"] == "tenantTierMapping: {'acme': 'large'}"
    assert row["exposure"] == (100_000 - 10_000) * 2
    assert row["avoided"] == 0
    assert row["because"] == "it is in the tier huge, and large holds all that it needs"


def test_a_tenant_that_needs_more_than_its_tier_gives_is_told_the_smallest_that_holds_it() -> None:
    (row,) = moved("small", 1_001.0, 1.0)

    assert row["command"] == "tenantTierMapping: {'acme': 'large'}"
    assert (row["exposure"], row["avoided"]) == (None, None)


@pytest.mark.parametrize(
    ("tier", "rate", "series"),
    [
        ("large", 1_001.0, 1.0),
        ("huge", None, 1.0),
        ("huge", 900.0, None),
        ("huge", 1e9, 1.0),
        ("small", 1.0, 1.0),
    ],
)
def test_a_tenant_that_fits_or_that_nobody_can_judge_stays_where_it_is(
    tier: str, rate: float | None, series: float | None
) -> None:
    assert moved(tier, rate, series) == []


def saving(kind: str, limit: str | None, value: float, target: float) -> dict[str, Any]:
    row = {"kind": kind, "tenant": "acme", "limit": limit, "value": value, "target": target}
    return {**row, "exposure": Decimal(0), "avoided": None, "realised": Decimal(0)}


@pytest.mark.parametrize(
    ("now", "exposure"), [(5_000.0, 90_000), (5_500.0, 89_000), (5_501.0, None)]
)
def test_a_limit_that_came_down_to_what_was_recommended_was_followed(
    now: float, exposure: int | None
) -> None:
    before = pl.DataFrame([saving("unused quota", RATE, 50_000.0, 5_000.0)], schema=SAVINGS)
    standing = {"tenant": "acme", "limit": RATE, "value": now}

    found = followed(
        before,
        SAVINGS.to_frame(),
        standings=pl.DataFrame([standing], schema=STANDINGS),
        known=pl.DataFrame({"tenant": ["acme"]}),
        month_of=MONTH_OF,
    )

    assert found.schema == FOLLOWED
    assert found["exposure"].to_list() == ([] if exposure is None else [exposure])


def test_what_still_stands_was_not_followed_nor_what_a_tenant_that_is_gone_did() -> None:
    rows = [saving("churn", None, 5.0, 3.0), saving("duplicate samples", None, 40.0, 0.0)]
    before = pl.DataFrame(rows, schema=SAVINGS)

    def found(now: pl.DataFrame, *active: str) -> list[str]:
        told = followed(
            before,
            now,
            standings=STANDINGS.to_frame(),
            known=pl.DataFrame({"tenant": list(active)}, schema={"tenant": pl.String()}),
            month_of=MONTH_OF,
        )
        return told["kind"].to_list()

    assert found(before, "acme") == []
    assert found(SAVINGS.to_frame()) == []
    assert found(SAVINGS.to_frame(), "acme") == ["churn", "duplicate samples"]
