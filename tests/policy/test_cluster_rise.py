"""When all tenants together ask for far more than usual, who of them, and until when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import log

import polars as pl
import pytest

from policy.cluster_rise import (
    CALM_FOR,
    CLUSTER_USUAL,
    GROWN_AFTER,
    NAMED,
    RISES,
    SUMS,
    Watch,
    stepped,
    sums,
)
from policy.frames import SAMPLES
from policy.signals import QUERIES, SAMPLES_ASKED
from policy.thresholds import LEAST

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOOK = timedelta(seconds=15)
SEASONED: dict[str, object] = {
    "signal": SAMPLES_ASKED,
    "mid": log(100_000),
    "spread": 0.0,
    "points": 12,
    "recent": 90_000.0,
    "peak": 120_000.0,
}
NOBODY = pl.DataFrame(schema={"tenant": pl.String, "kind": pl.String, "more": pl.Float64})


def look(total: float, *, tenants: int = 100, signal: str = SAMPLES_ASKED) -> pl.DataFrame:
    rows = [(NOON, f"t{n}", signal, total / tenants, 1.0) for n in range(tenants)]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def judge(total: float, **usual: object) -> dict[str, object]:
    known = pl.DataFrame([SEASONED | usual], schema=CLUSTER_USUAL)
    (found,) = sums(look(total), usual=known, least=LEAST).to_dicts()
    return found


@pytest.mark.parametrize(
    ("total", "usual", "unusual"),
    [
        (170_000, {}, True),
        (155_000, {}, False),
        (170_000, {"peak": 160_000.0}, False),
        (170_000, {"spread": 0.2}, False),
        (350_000, {"points": 5}, True),
        (260_000, {"points": 5}, False),
        (350_000, {"points": 5, "recent": None}, None),
        (170_000, {"peak": None}, None),
    ],
    ids=[
        "far above",
        "a little above",
        "it was as high yesterday",
        "it always varies",
        "three times the last hours",
        "less than that",
        "nothing is known",
        "the last day is not known",
    ],
)
def test_a_sum_is_unusual_by_the_hours_of_past_weeks_or_by_the_last_ones(
    total: float, usual: dict[str, object], *, unusual: bool | None
) -> None:
    assert judge(total, **usual)["unusual"] is unusual


def test_a_hundred_tenants_at_twice_their_usual_are_unusual_though_none_of_them_blasts() -> None:
    found = judge(200_000)

    assert found["unusual"]
    assert found["z"] == pytest.approx(log(2) / 0.08)


def test_a_rise_that_is_nobodys_trouble_is_none() -> None:
    known = {"signal": QUERIES, "mid": log(2), "recent": 2.0, "peak": 2.0}
    frame = pl.DataFrame([SEASONED | known], schema=CLUSTER_USUAL)

    (found,) = sums(look(11, signal=QUERIES), usual=frame, least=LEAST).to_dicts()

    assert found["z"] > 6
    assert not found["unusual"]


def seen(*, unusual: bool, calm: bool) -> pl.DataFrame:
    return pl.DataFrame(
        [("ingestion", 200_000.0, 100_000.0, 8.7, unusual, calm)], schema=SUMS, orient="row"
    )


OUT, BETWEEN, CALM = (
    seen(unusual=True, calm=False),
    seen(unusual=False, calm=False),
    seen(unusual=False, calm=True),
)


def live(
    *looks: tuple[datetime, pl.DataFrame], risen: pl.DataFrame = NOBODY
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rises that began and those that ended in these looks."""
    running, watched = RISES.to_frame(), dict[str, Watch]()
    began, ended = [], []
    for now, found in looks:
        begins, over, watched = stepped(running, found=found, watched=watched, risen=risen, now=now)
        running = pl.concat([running.join(over, on="kind", how="anti"), begins])
        began += begins.to_dicts()
        ended += over.to_dicts()
    return began, ended


def test_it_takes_two_looks_in_a_row_and_is_told_once() -> None:
    one, _ = live((NOON, OUT))
    broken, _ = live((NOON, OUT), (NOON + LOOK, BETWEEN), (NOON + 2 * LOOK, OUT))
    several, _ = live(*((NOON + n * LOOK, OUT) for n in range(10)))

    assert (len(one), len(broken)) == (0, 0)
    assert [rise["began_at"] for rise in several] == [NOON + LOOK]


def test_it_is_over_after_some_minutes_of_calm_and_not_for_less() -> None:
    begun = [(NOON, OUT), (NOON + LOOK, OUT)]
    calm = NOON + 2 * LOOK

    _, short = live(*begun, (calm, CALM), (calm + CALM_FOR - LOOK, CALM))
    _, broken = live(*begun, (calm, CALM), (calm + LOOK, BETWEEN), (calm + CALM_FOR, CALM))
    _, long = live(*begun, (calm, CALM), (calm + CALM_FOR, CALM))

    assert (len(short), len(broken)) == (0, 0)
    assert [(rise["over_at"], rise["grown"]) for rise in long] == [(calm + CALM_FOR, False)]


def test_what_holds_for_a_day_is_growth() -> None:
    later = NOON + LOOK + GROWN_AFTER

    _, ended = live((NOON, OUT), (NOON + LOOK, OUT), (later, OUT))

    assert [(rise["over_at"], rise["grown"]) for rise in ended] == [(later, True)]


def test_the_tenants_that_rose_most_are_named() -> None:
    rows = [(f"t{n}", "ingestion", 1_000.0 * (20 - n)) for n in range(20)]
    rows.append(("other", "queries", 1e9))
    risen = pl.DataFrame(rows, schema=NOBODY.schema, orient="row")

    (rise,), _ = live((NOON, OUT), (NOON + LOOK, OUT), risen=risen)

    named = {f"t{n}": 1_000.0 * (20 - n) for n in range(NAMED)}
    assert json.loads(str(rise["tenants"])) == named
    assert "2 × the usual 100,000/s" in str(rise["because"])  # noqa: RUF001 - as it is told
    assert "most of the rise: t0 +20,000, t1 +19,000" in str(rise["because"])
