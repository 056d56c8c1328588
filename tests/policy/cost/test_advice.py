"""Samples sent twice, and blocks that nobody asks for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import polars as pl
import pytest
from ruamel.yaml import YAML

from policy.cost.advice import (
    REACH,
    TWICE,
    Past,
    advised_now,
    duplicates,
    shorter_retention,
    spare_replicas,
)
from policy.cost.recommendation import SAVINGS

RATE = "ingestion_rate"
DAY = timedelta(days=1)
MONTH_OF = {RATE: Decimal(2)}


def past(
    *,
    twice: tuple[float | None, ...] | None = None,
    reach: tuple[int, float, str | None] | None = None,
    retention: timedelta | None = 365 * DAY,
) -> Past:
    stored = None if reach is None or reach[2] is None else Decimal(reach[2])
    return Past(
        twice=pl.DataFrame(
            [("o'neil", *twice, *[0.0] * (3 - len(twice)))] if twice else [],
            schema=TWICE,
            orient="row",
        ),
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

    assert (row["exposure"], row["avoided"], row["target"]) == (0, 40 * 2, 0.01)
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


@pytest.mark.parametrize(("dropped", "told"), [(1_000.0, False), (1_499.0, False), (1_500.0, True)])
def test_a_pair_of_replicas_is_as_it_should_be_and_a_third_is_spare(
    dropped: float, *, told: bool
) -> None:
    """
    Of a pair half is dropped, of three replicas two thirds: 60 % is neither's, and more than one.
    """
    found = spare_replicas(past(twice=(0.0, 1_000.0, dropped)))

    assert found.height == told
    assert all(row["avoided"] == 0 for row in found.to_dicts())
    assert all('{user="o\'neil"}' in row["command"] for row in found.to_dicts())


def test_what_is_now_of_everybody_is_told_also_where_nothing_is_recommended() -> None:
    known = past(twice=(40.0, 1_000.0, 1_000.0), reach=(2, 1.0, None), retention=10 * DAY)

    assert advised_now(known).rows() == [
        ("duplicate samples", "o'neil", None, 0.04),
        ("spare replicas", "o'neil", None, 0.5),
        ("retention", "acme", "compactor_blocks_retention_period", 10.0),
    ]
