"""What follows from a pin, and which pins may be set."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.catalogue import known_in, limits
from policy.explain import explain, lines
from policy.frames import DECISIONS, LAYERS, LIMITS, empty
from policy.layers import Bounds
from policy.pinnable import PinRefused, pinnable, spoken
from policy.pins import PINNED, Pin, listed, pinned, pins_of, reconciled
from policy.plan import Plan, Terms, plan
from policy.stack import stack

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATE, BURST, SERIES = "ingestion_rate", "ingestion_burst_size", "max_global_series_per_user"
NO_BOUNDS = Bounds()


def pin(limit: str = RATE, value: float = 500_000, **told: object) -> pl.DataFrame:
    said = {
        "tenant": "acme",
        "limit": limit,
        "value": value,
        "reason": "load test",
        "by": "anna",
        "since": NOON - HOUR,
        "until": None,
    }
    return Pin(**(said | told)).as_layer()  # type: ignore[arg-type]


def word(layer: str, limit: str, value: float, *, kind: str = "set") -> pl.DataFrame:
    row = {
        "tenant": "acme",
        "limit": limit,
        "layer": layer,
        "kind": kind,
        "value": value,
        "reason": "peak",
        "evidence": "[]",
        "written_at": NOON,
    }
    return pl.DataFrame([row], schema=LAYERS)


def own(**values: float) -> pl.DataFrame:
    rows = [("", limit, value) for limit, value in values.items()]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def planned(*layers: pl.DataFrame) -> Plan:
    return plan(
        pl.concat(layers),
        observed=own(ingestion_rate=10_000, ingestion_burst_size=200_000),
        standing=empty(LIMITS),
        bounds=NO_BOUNDS,
        terms=Terms(known=known_in("3.0.4")),
        now=NOON,
    )


def says(found: Plan) -> dict[str, tuple[float, str]]:
    return {
        limit: (value, by)
        for limit, value, by in found.composed.select("limit", "value", "decided_by").iter_rows()
    }


# What a pin says


def test_the_words_of_a_pin_name_value_person_reason_and_end() -> None:
    until = datetime(2026, 3, 2, 8, tzinfo=UTC)
    rows = pl.DataFrame({"tenant": ["beta", "acme", "acme"], "limit": [RATE, SERIES, RATE]})
    pins = pl.concat([pin(until=until), pin(SERIES, 0.5)])

    found = pinned(rows, pins)

    assert found.select("tenant", "limit").equals(rows)
    assert found.select("pinned_value", "pinned_words").rows() == [
        (None, None),
        (0.5, "pinned to 0.5 by anna: load test"),
        (500_000.0, "pinned to 500,000 by anna: load test, until 2026-03-02 08:00 UTC"),
    ]


def test_without_pins_nothing_is_pinned() -> None:
    rows = pl.DataFrame({"tenant": ["acme"], "limit": [RATE]})

    assert pinned(rows, empty(LAYERS)).select("pinned_value", "pinned_words").rows() == [
        (None, None)
    ]


def test_a_pin_ends_at_its_end_and_other_layers_are_no_pins() -> None:
    """The last instant of a pin is the one before its end, as for every layer."""
    layers = pl.concat(
        [pin(until=NOON), pin(SERIES, until=NOON + HOUR), pin(BURST), word("optimized", RATE, 9)]
    )

    assert pins_of(layers, now=NOON)["limit"].to_list() == [SERIES, BURST]


def test_a_list_tells_what_each_limit_would_be_without_its_pin() -> None:
    """The optimizer's word under a cap, the operator's own, or nothing that is known."""
    layers = pl.concat(
        [
            pin(),
            word("optimized", RATE, 14_000),
            word("breaker", RATE, 12_000, kind="cap"),
            pin(SERIES, 7, by="ben", until=NOON + HOUR),
            pin(BURST, 9),
            word("optimized", "request_rate", 5),
        ]
    )
    beneath = pl.DataFrame(
        [("acme", RATE, 10_000.0), ("acme", SERIES, 150_000.0)], schema=LIMITS, orient="row"
    )

    found = listed(layers, beneath=beneath, bounds=NO_BOUNDS, now=NOON)

    assert found.schema == PINNED
    assert found.select("limit", "value", "without", "by", "until").rows() == [
        (BURST, 9.0, None, "anna", None),
        (RATE, 500_000.0, 12_000.0, "anna", None),
        (SERIES, 7.0, 150_000.0, "ben", NOON + HOUR),
    ]


def test_the_explanation_names_who_pinned_and_until_when() -> None:
    layers = pl.concat([word("optimized", RATE, 14_000), pin(until=NOON + HOUR)])
    voices = stack("acme", layers=layers, beneath=empty(LIMITS), bounds=NO_BOUNDS, now=NOON)

    told = lines(explain("acme", stack=voices, decisions=empty(DECISIONS)))

    assert told[-1].endswith("load test (by anna, until 2026-03-01 13:00 UTC)")
    assert told[-1].split()[:2] == ["*", "pin"]
    assert told[-2].endswith("peak")


def test_the_explanation_of_a_limit_that_follows_a_pin_says_so() -> None:
    layers = pl.concat([word("optimized", RATE, 14_000), pin(BURST, 8_000)])

    told = stack("acme", layers=layers, beneath=empty(LIMITS), bounds=NO_BOUNDS, now=NOON)

    assert told.select("limit", "layer", "after", "decides").rows() == [
        (BURST, "pin", 8_000.0, True),
        (RATE, "optimized", 14_000.0, False),
        (RATE, "pin", 8_000.0, True),
    ]
    assert told["reason"][-1] == "no more than the pinned ingestion_burst_size: load test"


# What a pin does to what is published


def test_a_pinned_rate_takes_its_burst_along() -> None:
    """A burst below its rate would stop the document for all tenants."""
    found = planned(pin(), word("optimized", BURST, 300_000))

    assert found.problems == ()
    assert says(found) == {RATE: (500_000.0, "pin"), BURST: (500_000.0, "pin")}


def test_a_pinned_burst_holds_its_rate() -> None:
    found = planned(pin(BURST, 8_000, until=NOON + HOUR), word("optimized", RATE, 14_000))

    assert found.problems == ()
    assert says(found) == {RATE: (8_000.0, "pin"), BURST: (8_000.0, "pin")}
    rate = found.composed.filter(limit=RATE).row(0, named=True)
    assert rate["reason"] == "no more than the pinned ingestion_burst_size: load test"
    assert (rate["beneath"], rate["expires_at"]) == (10_000.0, NOON + HOUR)


def test_a_pin_that_leaves_the_burst_above_the_rate_changes_only_its_limit() -> None:
    found = planned(pin(value=20_000), word("optimized", BURST, 300_000))

    assert says(found) == {RATE: (20_000.0, "pin"), BURST: (300_000.0, "optimized")}


def test_two_pins_that_contradict_each_other_stay_and_are_a_problem() -> None:
    found = planned(pin(value=9_000), pin(BURST, 8_000))

    assert says(found) == {RATE: (9_000.0, "pin"), BURST: (8_000.0, "pin")}
    assert ["burst is below" in problem for problem in found.problems] == [True]


def test_what_nobody_pinned_is_left_as_it_was_composed() -> None:
    composed = planned(word("optimized", BURST, 8_000), word("optimized", RATE, 14_000)).composed

    assert reconciled(composed).equals(composed)


def test_a_0_that_blocks_may_be_pinned_and_not_decided() -> None:
    """To block a tenant is an operator's word and nobody else's."""
    assert planned(pin(value=0)).problems == ()
    assert planned(pin(BURST, 0), word("optimized", RATE, 14_000)).problems == ()
    assert "refuses everything" in planned(word("optimized", RATE, 0)).problems[0]


# Which pins may be set


@pytest.mark.parametrize(
    ("limit", "typed", "number"),
    [
        (RATE, "500000", 500_000.0),
        (RATE, "500_000", 500_000.0),
        (RATE, "1,500,000.5", 1_500_000.5),
        (RATE, "5e5", 500_000.0),
        (RATE, "0.5", 0.5),
        (SERIES, "0", 0.0),
        ("max_fetched_series_per_query", "100", 100.0),
    ],
)
def test_a_number_is_read_as_a_person_types_it(limit: str, typed: str, number: float) -> None:
    assert pinnable(limit, typed, catalogue=limits(), bounds=NO_BOUNDS) == number


@pytest.mark.parametrize(
    ("limit", "typed", "refusal"),
    [
        ("ingestion_rat", "5", "is no limit .* did you mean ingestion_rate"),
        ("zzz", "5", "is no limit .*; `mlo limits` lists all"),
        ("compactor_blocks_retention_period", "5", "deletes data"),
        ("ruler_evaluation_delay_duration", "5", "is a duration and no number"),
        (RATE, "many", "'many' is no number"),
        (RATE, "1,5", "'1,5' is no number"),
        (RATE, "nan", "is no number"),
        (RATE, "inf", "is no number"),
        (RATE, "-5", "is negative"),
        (SERIES, "1.5", "whole number .* give 1 or 2"),
        (SERIES, "1e300", "more than Mimir can hold"),
        (RATE, "0", "refuses everything .* --yes"),
    ],
)
def test_what_means_nothing_or_harm_is_refused(limit: str, typed: str, refusal: str) -> None:
    with pytest.raises(PinRefused, match=refusal):
        pinnable(limit, typed, catalogue=limits(), bounds=NO_BOUNDS)


def test_a_0_that_blocks_is_taken_when_it_is_meant() -> None:
    assert pinnable(RATE, "0", catalogue=limits(), bounds=NO_BOUNDS, blocking=True) == 0


@pytest.mark.parametrize(
    ("limit", "typed", "bounds", "refusal"),
    [
        (RATE, "999", {"minimum": {RATE: 1_000}}, "below the minimum of 1,000 .* for pins too"),
        (RATE, "0", {"minimum": {RATE: 1_000}}, "below the minimum of 1,000"),
        (RATE, "5001", {"maximum": {RATE: 5_000}}, "above the maximum of 5,000 .* for pins too"),
        (SERIES, "0", {"maximum": {SERIES: 5}}, "0 means unlimited, which is above the maximum"),
        (BURST, "999", {"minimum": {RATE: 1_000}}, "minimum of 1,000 for ingestion_rate"),
    ],
    ids=["minimum", "blocking", "maximum", "unlimited", "a burst below every rate"],
)
def test_the_hard_bounds_hold_for_pins_too(
    limit: str, typed: str, bounds: dict[str, dict[str, float]], refusal: str
) -> None:
    with pytest.raises(PinRefused, match=refusal):
        pinnable(limit, typed, catalogue=limits(), bounds=Bounds(**bounds), blocking=True)


def test_the_bounds_themselves_may_be_pinned_to() -> None:
    bounds = Bounds(minimum={RATE: 1_000, SERIES: 3}, maximum={RATE: 5_000, SERIES: 0})

    assert [
        pinnable(limit, typed, catalogue=limits(), bounds=bounds)
        for limit, typed in ((RATE, "1000"), (RATE, "5000"), (SERIES, "0"), (SERIES, "9"))
    ] == [1_000, 5_000, 0, 9]


@pytest.mark.parametrize(
    "text", ["", "  ", "two\nlines", "bell\a", "para\u2029graph", "broken\udcff"], ids=ascii
)
def test_words_that_are_not_one_line_are_refused(text: str) -> None:
    with pytest.raises(PinRefused, match="the reason"):
        spoken(text, of="the reason")


def test_words_keep_their_quotes_and_their_alphabet() -> None:
    assert spoken(" O'Brien „sagt“ 🙂 ", of="the reason") == "O'Brien „sagt“ 🙂"


def test_the_evidence_of_a_pin_survives_any_name() -> None:
    name = 'Zoë "O\'Brien" \\'

    row = pin(by=name).row(0, named=True)

    assert json.loads(row["evidence"]) == {"by": name}
    assert pinned(pin().select("tenant", "limit"), pin(by=name))["pinned_words"].item() == (
        f"pinned to 500,000 by {name}: load test"
    )
