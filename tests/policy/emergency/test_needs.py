"""What each tenant usually needs of each limit, by its past."""

from __future__ import annotations

from math import log

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.breaker_caps import SERIES_MARGIN, USUAL_MARGIN
from policy.detection import ABOVE_PEAK
from policy.emergency.caps import Ground, emergency_layer
from policy.emergency.needs import USUALLY, needs
from policy.emergency.state import State
from policy.frames import LIMITS, empty
from policy.layers import Bounds
from policy.signals import INGESTION_RATE, REQUESTS_ASKED, SAMPLES_ASKED, SERIES
from policy.usual import LEAST_POINTS
from tests.policy.emergency.looks import NOON

Row = tuple[str, str, float | None, int | None, float | None, float | None]
SEASONED = LEAST_POINTS


def needed(*rows: Row) -> dict[tuple[str, str], float]:
    found = needs(pl.DataFrame(rows, schema=USUALLY, orient="row"))
    return {(tenant, limit): need for tenant, limit, need in found.rows()}


def test_it_is_what_past_weeks_were_with_the_margin_of_the_breaker() -> None:
    found = needed(("acme", INGESTION_RATE, log(1_000), SEASONED, 400.0, None))

    assert found["acme", INGESTION_RATE] == pytest.approx(1_000 * USUAL_MARGIN)


def test_who_grew_since_is_known_by_its_last_hours() -> None:
    found = needed(("acme", INGESTION_RATE, log(1_000), SEASONED, 3_000.0, None))

    assert found["acme", INGESTION_RATE] == pytest.approx(3_000 * USUAL_MARGIN)


def test_too_few_hours_of_past_weeks_say_nothing() -> None:
    found = needed(("acme", INGESTION_RATE, log(9_000), SEASONED - 1, 400.0, None))

    assert found["acme", INGESTION_RATE] == pytest.approx(400 * USUAL_MARGIN)


def test_who_sends_once_in_a_while_needs_its_calm_peaks() -> None:
    found = needed(("acme", INGESTION_RATE, None, None, 0.0, 5_000.0))

    assert found["acme", INGESTION_RATE] == pytest.approx(5_000 * ABOVE_PEAK)


def test_series_in_memory_get_a_smaller_margin() -> None:
    found = needed(("acme", SERIES, None, None, 70_000.0, 70_000.0))

    assert found["acme", SERIES] == pytest.approx(70_000 * SERIES_MARGIN)


def test_of_two_signals_of_one_limit_the_greater_counts() -> None:
    """
    Distributors are not equally busy, so a limit has to be above what is asked of all of them.
    """
    found = needed(
        ("acme", SAMPLES_ASKED, None, None, 1_000.0, None),
        ("acme", INGESTION_RATE, None, None, 1_300.0, None),
        ("acme", REQUESTS_ASKED, None, None, 8.0, None),
    )

    assert found == {
        ("acme", "ingestion_rate"): pytest.approx(1_300 * USUAL_MARGIN),
        ("acme", "request_rate"): pytest.approx(8 * USUAL_MARGIN),
    }


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    assert needed(("acme", INGESTION_RATE, None, None, None, None)) == {}
    assert needed(("acme", INGESTION_RATE, None, None, 0.0, None)) == {}


AMOUNTS = st.floats(min_value=1, max_value=1e8)


@given(mid=AMOUNTS, recent=AMOUNTS, peak=AMOUNTS, asked=st.floats(0, 1), above=st.floats(1, 50))
def test_who_asks_for_no_more_than_its_usual_is_refused_nothing(
    mid: float, recent: float, peak: float, asked: float, above: float
) -> None:
    usual = max(mid, recent, peak)
    rows = [("acme", INGESTION_RATE, log(mid), SEASONED, recent, peak)]
    base = pl.DataFrame([("acme", INGESTION_RATE, usual * above)], schema=LIMITS, orient="row")
    ground = Ground(
        base=base,
        critical=(),
        needs=needs(pl.DataFrame(rows, schema=USUALLY, orient="row")),
        requests=pl.DataFrame(schema={"tenant": pl.String(), "request": pl.Float64()}),
        spoken=empty(LIMITS).select("tenant", "limit"),
        queries=(),
        bounds=Bounds(),
    )
    state = State(
        level="panic",
        phase=4,
        since=NOON,
        actions={"circuit_breaker": 90.0, "throttle_ingestion": 80.0, "reduce_limits": 50.0},
    )

    caps = emergency_layer(state, ground=ground, written_at=NOON)

    assert all(value >= usual * asked for value in caps["value"])
