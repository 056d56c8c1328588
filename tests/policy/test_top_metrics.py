"""Whom to ask for metrics, and which metric it is that grows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.breakers import BLASTS, BREAKERS, TURNS
from policy.top_metrics import (
    ASKED_AT_ONCE,
    LEAST_GROWTH,
    METRICS_TOLD,
    TOP_METRICS,
    growing,
    newest,
    to_ask,
    top_words,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOOK = timedelta(seconds=15)


def answer(at: datetime, total: int, tenant: str = "acme", **metrics: int) -> pl.DataFrame:
    rows = [(at, tenant, metric, series, total) for metric, series in metrics.items()]
    return pl.DataFrame(rows, schema=TOP_METRICS, orient="row")


def breakers(*rows: tuple[str, str, str]) -> pl.DataFrame:
    told = [{"tenant": tenant, "state": state, "kinds": kinds} for tenant, state, kinds in rows]
    return pl.DataFrame(told, schema=BREAKERS)


def asked(
    *rows: tuple[str, str, str], turned: bool = True, known: pl.DataFrame | None = None
) -> list[str]:
    found = breakers(*rows)
    turns = found.select("tenant", after="state", kinds="kinds") if turned else pl.DataFrame()
    values = pl.DataFrame(
        [{"tenant": tenant, "value": float(place)} for place, (tenant, _, _) in enumerate(rows)],
        schema=BLASTS,
    )
    return to_ask(
        found,
        turns=TURNS.to_frame() if turns.is_empty() else turns,
        known=TOP_METRICS.to_frame() if known is None else known,
        blasts=values,
    )


def test_those_that_turned_are_asked_about_the_busiest_first_and_only_a_few() -> None:
    many = [(f"t{number}", "open", "ingestion") for number in range(ASKED_AT_ONCE + 2)]

    assert asked(*many) == [f"t{number}" for number in range(ASKED_AT_ONCE + 1, 1, -1)]


@pytest.mark.parametrize(
    ("state", "kinds", "wanted"),
    [
        ("watch", "series", True),
        ("open", "ingestion,queries", True),
        ("open", "queries", False),
        ("half_open", "series", False),
        ("growth", "series", False),
    ],
)
def test_only_samples_and_series_that_begin_are_worth_a_question(
    state: str, kinds: str, *, wanted: bool
) -> None:
    assert asked(("acme", state, kinds)) == (["acme"] if wanted else [])


def test_a_second_answer_is_asked_for_and_no_third() -> None:
    one = answer(NOON, 10, up=1)
    two = pl.concat([one, answer(NOON + LOOK, 10, up=1)])
    still = ("acme", "open", "series")

    assert asked(still, turned=False, known=one) == ["acme"]
    assert asked(still, turned=False, known=two) == []


def test_the_metric_that_most_of_what_came_is_of_grows() -> None:
    before = answer(NOON, 100_000, calm=40_000, wild=20_000)
    after = answer(NOON + LOOK, 150_000, wild=66_000, calm=44_000)

    (found,) = growing(pl.concat([before, after])).to_dicts()

    assert (found["metric"], found["series"], found["others"]) == ("wild", 66_000, 44_000)
    assert found["share"] == pytest.approx(46_000 / 50_000)


def test_a_metric_that_was_not_among_the_fullest_had_at_most_what_the_last_of_them_had() -> None:
    full = {f"m{number}": 5_000 + number for number in range(METRICS_TOLD)}
    before = answer(NOON, 100_000, **full)
    after = answer(NOON + LOOK, 110_000, wild=12_000, **full)

    (found,) = growing(pl.concat([before, after])).to_dicts()

    assert found["share"] == pytest.approx((12_000 - 5_000) / 10_000)


@pytest.mark.parametrize(
    ("total", "after"),
    [
        (150_000, {"wild": 50_000, "calm": 60_000}),
        (100_000 + LEAST_GROWTH - 1, {"wild": 60_000, "calm": 40_000}),
        (90_000, {"wild": 60_000, "calm": 20_000}),
    ],
    ids=["no clear majority", "hardly anything came", "there are fewer"],
)
def test_without_a_clear_majority_no_metric_is_blamed(total: int, after: dict[str, int]) -> None:
    before = answer(NOON, 100_000, calm=40_000, wild=20_000)

    assert growing(pl.concat([before, answer(NOON + LOOK, total, **after)])).is_empty()


def test_one_answer_blames_nobody_however_full_a_metric_is() -> None:
    assert growing(answer(NOON, 100_000, wild=99_000)).is_empty()


def test_what_grew_is_remembered_when_it_grows_no_more() -> None:
    looks = [
        answer(NOON, 100_000, calm=40_000, wild=20_000),
        answer(NOON + LOOK, 150_000, wild=66_000, calm=44_000),
        answer(NOON + 2 * LOOK, 150_010, wild=66_000, calm=44_010),
    ]

    assert growing(pl.concat(looks))["metric"].to_list() == ["wild"]


def test_the_words_are_of_the_newest_answer_the_fullest_first() -> None:
    known = pl.concat(
        [
            answer(NOON, 10, old=9),
            answer(NOON + LOOK, 5_100, up=20, requests_total=5_000, b=30, c=10),
        ]
    )

    assert newest(known)["metric"].to_list() == ["requests_total", "b", "up", "c"]
    assert top_words(known).rows() == [
        ("acme", "requests_total 5,000, b 30, up 20 of 5,100 series"),
    ]
