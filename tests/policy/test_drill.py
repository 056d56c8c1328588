"""A blast is rehearsed in memory, by whatever protection is put in."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.breaker_caps import SERIES_MARGIN, USUAL_MARGIN
from policy.drill import Blast, Look, Pace, Protection, Rehearsal, rehearse
from policy.drill_protection import breaker_of
from policy.drill_words import clock, figures_of
from policy.frames import LAYERS, LIMITS
from policy.layers import Bounds
from policy.settings import Settings, parse_settings
from policy.signals import SAMPLES_ASKED, SERIES, SERIES_CREATED_RATE
from policy.usual import USUAL

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE, BURST = "ingestion_rate", "ingestion_burst_size"
PACE = Pace(every=timedelta(seconds=15), loaded_after=timedelta(seconds=20))
BLAST = Blast(tenant="acme", usual=1_000.0, factor=10.0, lasts=timedelta(minutes=5))


def limits(rate: float = 20_000.0, burst: float = 20_000.0) -> pl.DataFrame:
    rows = [("acme", BURST, burst), ("acme", RATE, rate)]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def clamping(*, at: float, hold: timedelta = timedelta(minutes=5)) -> Protection:
    """Protection that caps the rate at a value while demand is above twice the usual."""

    def protect(look: Look) -> pl.DataFrame:
        asked, usual = look.demand["value"][0], look.baseline["baseline"][0]
        if asked <= 2 * usual:
            return look.known
        word = {
            "tenant": "acme",
            "limit": RATE,
            "layer": "breaker",
            "kind": "cap",
            "value": at,
            "reason": "far above its usual",
            "written_at": look.at,
            "expires_at": look.at + hold,
        }
        return pl.DataFrame([word], schema=LAYERS)

    return protect


def rehearsed(
    protection: Protection, *, own: pl.DataFrame | None = None, blast: Blast = BLAST
) -> Rehearsal:
    return rehearse(
        blast,
        limits=limits() if own is None else own,
        protection=protection,
        pace=PACE,
        bounds=Bounds(),
        margin=0.25,
        now=NOON,
    )


def test_a_cap_is_in_force_after_the_look_that_saw_the_blast_and_the_way_to_mimir() -> None:
    found = rehearsed(clamping(at=1_250.0))

    assert found.fair_share == 1_250
    assert found.detected_after == timedelta(seconds=15)
    # Said at 15 s, loaded at 35 s, and seen to be at the look after that.
    assert found.capped_after == timedelta(seconds=45)
    assert found.lowest == 1_250
    assert [event.kind for event in found.timeline] == [
        "begins",
        "detected",
        "capped",
        "over",
        "let_go",
        "recovered",
    ]


def test_what_was_let_in_above_the_fair_share_is_what_came_before_the_cap() -> None:
    found = rehearsed(clamping(at=1_250.0))

    # 45 s at ten times the usual, less the fair share; after that the bucket's last fill.
    before_the_cap = 45 * (10_000 - 1_250)
    assert before_the_cap <= found.admitted_above <= before_the_cap + 20_000
    assert found.admitted_above + found.refused == pytest.approx(300 * (10_000 - 1_250))


def test_a_limit_comes_back_when_the_last_word_has_lapsed_and_mimir_has_loaded_that() -> None:
    found = rehearsed(clamping(at=1_250.0, hold=timedelta(minutes=2)))

    assert found.recovered_after is not None
    assert timedelta(minutes=2) <= found.recovered_after <= timedelta(minutes=3)


def test_protection_that_sees_nothing_lets_in_what_the_limit_lets_in() -> None:
    found = rehearsed(lambda look: look.known)

    assert (found.detected_after, found.capped_after) == (None, None)
    assert found.admitted_above == pytest.approx(300 * (10_000 - 1_250))
    assert found.refused == 0
    assert found.recovered_after == timedelta(seconds=15)


def test_a_limit_that_is_fair_already_caps_from_the_first_sample() -> None:
    found = rehearsed(lambda look: look.known, own=limits(rate=1_200.0, burst=2_000.0))

    assert found.capped_after == timedelta(0)
    assert found.admitted_above <= 2_000


def test_protection_that_never_lets_go_is_told_so() -> None:
    found = rehearsed(clamping(at=1_250.0, hold=timedelta(days=1)))

    assert found.recovered_after is None
    assert ("recovered after the blast", "never") in figures_of(found)


def test_a_limit_that_is_not_known_refuses_nothing_and_is_called_unknown() -> None:
    found = rehearsed(lambda look: look.known, own=pl.DataFrame(schema=LIMITS))

    assert found.refused == 0
    assert ("lowest limit in force", "unlimited or unknown") in figures_of(found)


def test_the_breaker_of_the_settings_is_the_one_that_protect_asks() -> None:
    breaker = breaker_of(Settings())

    found = rehearsed(breaker, own=limits(rate=5_000.0, burst=5_000.0))

    assert found.detected_after == timedelta(seconds=15)
    assert found.timeline[1].words.startswith("breaker open: 10,000/s asked for")
    # A tenth of the limit is below what it usually needs; that and a quarter is left.
    assert found.lowest is not None
    assert found.lowest == pytest.approx(BLAST.usual * USUAL_MARGIN, rel=0.01)  # rounded up
    assert found.lowest >= BLAST.usual * USUAL_MARGIN
    assert found.recovered_after is not None


def test_the_breaker_of_a_drill_follows_the_settings() -> None:
    """Below the threshold that follows from the limit, it takes a second look to be sure."""
    tree = {"circuitBreaker": {"autoConfig": {"limitMultipliers": {"ingestionRateMultiplier": 3}}}}
    slower = breaker_of(parse_settings(tree))

    assert rehearsed(slower, own=limits(rate=5_000.0)).detected_after == timedelta(seconds=30)


def test_what_is_still_held_for_long_enough_is_not_said_again() -> None:
    seen: list[pl.DataFrame] = []
    breaker = breaker_of(Settings())

    def watched(look: Look) -> pl.DataFrame:
        seen.append(breaker(look))
        return seen[-1]

    rehearsed(watched, own=limits(rate=5_000.0))

    words = pl.concat(seen[:9]).unique(["limit", "written_at"])
    assert words.filter(limit=RATE).height == 1


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (75, "1:15"), (3_600, "60:00")])
def test_a_moment_is_told_in_minutes_and_seconds(seconds: int, told: str) -> None:
    assert clock(timedelta(seconds=seconds)) == told


def normal(signal: str, **known: float) -> dict[str, object]:
    return {"tenant": "acme", "signal": signal, **known}


def test_a_drill_goes_by_past_weeks_where_they_are_known() -> None:
    """Twice the usual is a blast for who has always been steady, and none for who is young."""
    weeks = normal(SAMPLES_ASKED, mid=math.log(1_000), spread=0.01, points=12, near=1_050.0)
    seasoned = breaker_of(Settings(), usual=pl.DataFrame([weeks], schema=USUAL))
    double = replace(BLAST, usual=2_000.0, factor=2.0)
    own = limits(rate=5_000.0)

    assert rehearsed(breaker_of(Settings()), own=own, blast=double).detected_after is None
    assert rehearsed(seasoned, own=own, blast=double).detected_after is not None


def test_what_is_too_small_a_share_of_the_cluster_is_not_told_below_its_limit() -> None:
    alone, among = (
        rehearsed(breaker_of(Settings(), others=others), own=limits(rate=50_000.0))
        for others in (None, 10.0**6)
    )

    assert alone.detected_after is not None
    assert among.detected_after is None


def test_an_explosion_of_series_is_rehearsed_too() -> None:
    """Twenty times its 30,000 series in five minutes, of a tenant that usually creates none."""
    usual = [
        normal(SERIES_CREATED_RATE, recent=0.0, peak=0.0),
        normal(SERIES, recent=30_000.0, peak=30_000.0),
    ]
    blast = replace(BLAST, usual=30_000.0, factor=20.0, kind="series", lasts=timedelta(minutes=10))
    own = pl.DataFrame([("acme", SERIES, 150_000.0)], schema=LIMITS, orient="row")
    breaker = breaker_of(Settings(), usual=pl.DataFrame(usual, schema=USUAL))

    held, free = (
        rehearsed(protection, own=own, blast=blast)
        for protection in (breaker, lambda look: look.known)
    )

    assert free.admitted_above == 150_000 - 30_000 * 1.25
    assert held.detected_after == timedelta(seconds=15)
    assert held.lowest == pytest.approx(30_000 * SERIES_MARGIN)
    assert held.capped_after is not None
    loaded_by = held.capped_after.total_seconds() * blast.asked
    assert held.admitted_above == pytest.approx(30_000 + loaded_by - held.fair_share)
    assert held.recovered_after is not None
    assert dict(figures_of(held))["lowest limit in force"] == "33,000 series"
