"""A lowering is taken back when it, and nothing else, refuses what was let in before."""

from __future__ import annotations

import json
from datetime import timedelta

import polars as pl
import pytest

from policy.frames import DECISIONS, LIMITS, SAMPLES
from policy.reverts import LOWERED, reverts
from policy.signals import (
    DISCARDED_QUALITY,
    DISCARDED_RATE_LIMITED,
    DISCARDED_SERIES_LIMIT,
    INGESTION_BURST_SIZE,
    INGESTION_RATE,
    SERIES,
)
from tests.policy.estimated import NOON

MINUTE = timedelta(minutes=1)
SIGNALS = {limit: limit for limit in (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)}


def lowering(limit: str = INGESTION_RATE, before: float = 10_000, after: float = 9_000) -> tuple:
    return ("a", limit, NOON - 5 * MINUTE, before, after)


def refusing(signal: str = DISCARDED_RATE_LIMITED, *, ago: timedelta = MINUTE) -> tuple:
    return (NOON - ago, "a", signal, 50.0, 1.0)


def asking(limit: str, value: float) -> tuple:
    return (NOON - MINUTE, "a", limit, value, 1.0)


def taken_back(
    *samples: tuple,
    lowered: tuple[tuple, ...] = (lowering(),),
    in_force: tuple[tuple, ...] = (("a", INGESTION_RATE, 9_000.0),),
    in_blast: tuple[str, ...] = (),
) -> pl.DataFrame:
    return reverts(
        pl.DataFrame(lowered, schema=LOWERED, orient="row"),
        samples=pl.DataFrame(samples, schema=SAMPLES, orient="row"),
        in_force=pl.DataFrame(in_force, schema=LIMITS, orient="row"),
        signals=SIGNALS,
        endless=(SERIES,),
        in_blast=in_blast,
        now=NOON,
    )


def test_what_the_limit_before_would_have_let_in_puts_it_back() -> None:
    found = taken_back(asking(INGESTION_RATE, 9_500), refusing())

    assert found.schema == DECISIONS
    row = found.row(0, named=True)
    assert (row["outcome"], row["reason"]) == ("raise", "reverted")
    assert (row["before"], row["after"]) == (9_000, 10_000)
    assert row["detail"] == (
        "lowered to 9,000 5 min ago, and since then 50/s were refused that the limit before it "
        "would have let in; put back"
    )
    assert json.loads(row["steps"]) == [
        {"name": "revert", "before": 9_000, "after": 10_000, "because": row["detail"]}
    ]


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param((), id="nothing is refused"),
        pytest.param((refusing(DISCARDED_QUALITY),), id="bad data is refused"),
        pytest.param((refusing(DISCARDED_SERIES_LIMIT),), id="another limit refuses"),
        pytest.param((refusing(ago=6 * MINUTE),), id="it was refused before the lowering"),
        pytest.param(
            (refusing(), asking(INGESTION_RATE, 10_001)), id="the former limit would refuse too"
        ),
    ],
)
def test_what_the_lowering_did_not_cause_leaves_it(samples: tuple) -> None:
    assert taken_back(*samples).is_empty()


def test_in_a_blast_nothing_is_put_back() -> None:
    assert taken_back(refusing(), in_blast=("a",)).is_empty()


def test_a_burst_is_left_where_its_rate_refuses() -> None:
    """The rate was not lowered, and more is asked for than it allows."""
    lowered = (lowering(INGESTION_BURST_SIZE, 300_000, 270_000),)
    rate = ("a", INGESTION_RATE, 9_000.0)
    burst = ("a", INGESTION_BURST_SIZE, 270_000.0)

    beyond = taken_back(
        refusing(), asking(INGESTION_RATE, 9_001), lowered=lowered, in_force=(rate, burst)
    )
    within = taken_back(
        refusing(), asking(INGESTION_RATE, 8_999), lowered=lowered, in_force=(rate, burst)
    )

    assert beyond.is_empty()
    assert within["limit"].to_list() == [INGESTION_BURST_SIZE]


def test_a_rate_and_its_burst_are_put_back_together() -> None:
    lowered = (lowering(), lowering(INGESTION_BURST_SIZE, 300_000, 270_000))

    found = taken_back(refusing(), asking(INGESTION_RATE, 9_500), lowered=lowered)

    assert found.select("limit", "after").rows() == [
        (INGESTION_BURST_SIZE, 300_000),
        (INGESTION_RATE, 10_000),
    ]


def test_what_was_unlimited_before_would_have_refused_nothing() -> None:
    found = taken_back(
        refusing(DISCARDED_SERIES_LIMIT),
        asking(SERIES, 2_000_000),
        lowered=(lowering(SERIES, 0, 1_000_000),),
        in_force=(("a", SERIES, 1_000_000.0),),
    )

    assert found["after"].to_list() == [0]


def test_other_tenants_refusals_are_theirs() -> None:
    other = (NOON - MINUTE, "b", DISCARDED_RATE_LIMITED, 50.0, 1.0)

    assert taken_back(other).is_empty()
