"""What people hear of an incident: its begin, what is new of it, its end; whatever comes in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policy.alerting.incidents import (
    FLAPS_WITHIN,
    REPEATED_AFTER,
    Incident,
    folded,
)
from tests.policy.alerts import NOON, alert

MINUTE = timedelta(minutes=1)


def story(*told: tuple[float, str]) -> list[str | None]:
    """What is told of alerts at these minutes: `+` fires, `!` fires worse, `-` is over."""
    known, heard = None, []
    for index, (minute, what) in enumerate(told):
        raised = replace(
            alert(at=NOON + minute * MINUTE, resolves=what == "-"),
            priority="P0" if what == "!" else "P1",
        )
        found = folded(known, raised, alert_id=str(index))
        known = found.incident or known
        heard.append(found.tells)
    return heard


def test_what_is_seen_again_is_no_news_for_four_hours() -> None:
    later = REPEATED_AFTER / MINUTE

    assert story((0, "+"), (1, "+"), (later - 1, "+"), (later, "+"), (later + 1, "+")) == [
        "firing",
        None,
        None,
        "firing",
        None,
    ]


def test_what_gets_worse_is_news() -> None:
    assert story((0, "+"), (1, "!"), (2, "!"), (3, "+")) == ["firing", "firing", None, None]


def test_what_is_known_besides_is_told_and_is_no_headline() -> None:
    known = folded(None, alert(title="it blasts"), alert_id="1").incident

    found = folded(
        known, alert(title="by metric", kind="blast_metrics", priority="P3"), alert_id="2"
    )

    assert found.tells == "firing"
    assert found.incident is not None
    assert (found.incident.title, found.incident.kinds) == ("it blasts", "breaker,blast_metrics")


def test_the_end_is_told_once_and_of_nothing_not_at_all() -> None:
    assert story((0, "-"), (1, "+"), (2, "-"), (3, "-")) == [None, "firing", "resolved", None]


def test_what_comes_back_soon_goes_on_and_what_comes_back_late_is_another() -> None:
    first = folded(None, alert(at=NOON), alert_id="1").incident
    over = folded(first, alert(at=NOON + MINUTE, resolves=True), alert_id="2").incident

    soon = folded(over, alert(at=NOON + 2 * MINUTE), alert_id="3").incident
    late = folded(over, alert(at=NOON + MINUTE + FLAPS_WITHIN), alert_id="4").incident

    assert soon is not None
    assert late is not None
    assert (soon.incident, soon.flaps) == ("1", 1)
    assert (late.incident, late.flaps) == ("4", 0)


def test_whoever_saw_to_it_is_asked_again_when_it_gets_worse() -> None:
    known = folded(None, alert(at=NOON, priority="P2"), alert_id="1").incident
    assert known is not None
    seen_to = replace(known, state="acknowledged", escalated_at=NOON)

    same = folded(seen_to, alert(at=NOON + MINUTE, priority="P2"), alert_id="2").incident
    worse = folded(seen_to, alert(at=NOON + MINUTE, priority="P0"), alert_id="2").incident

    assert same is not None
    assert worse is not None
    assert (same.state, same.escalated_at) == ("acknowledged", NOON)
    assert (worse.state, worse.escalated_at) == ("firing", None)


def test_what_happens_once_is_told_each_time() -> None:
    first = folded(None, alert(lasts=False), alert_id="1")
    second = folded(first.incident, alert(lasts=False), alert_id="2")

    assert (first.tells, second.tells) == ("firing", "firing")
    assert first.incident is not None
    assert second.incident is not None
    assert (first.incident.state, second.incident.incident) == ("told", "2")


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("+!-")), max_size=30))
def test_whatever_comes_in_begins_and_ends_are_told_in_turn(
    steps: list[tuple[int, str]],
) -> None:
    """Held-back ends apart, an end follows a begin; one that is held back is told or withdrawn."""
    known: Incident | None = None
    minute, told, held = 0, [], False
    for index, (after, what) in enumerate(steps):
        minute += after
        raised = replace(
            alert(at=NOON + minute * MINUTE, resolves=what == "-"),
            priority="P0" if what == "!" else "P1",
        )
        found = folded(known, raised, alert_id=str(index))
        if found.goes_on:
            held = False
        if found.tells == "resolved" and found.waits is not None:
            held = True
        elif found.tells == "resolved":
            told.append("resolved")
        elif found.tells is not None:
            if held:  # its time had come
                told.append("resolved")
                held = False
            told.append("firing")
        known = found.incident or known
    assert told[:1] in ([], ["firing"])
    assert ("resolved", "resolved") not in pairwise(told)
