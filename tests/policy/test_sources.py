"""One answer from several sources, or a named disagreement."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.effective import EVERYONE, observed_beneath
from policy.frames import LIMITS, empty
from policy.sources import (
    NOT_LOADED,
    NOT_RELOADED,
    OTHER_DEFAULTS,
    TWO_VALUES,
    Source,
    Told,
    defaults_told,
    disagreements,
    effective,
    names_told,
    overridden,
)

RATE, BURST = "ingestion_rate", "ingestion_burst_size"
SHARDS = "compactor_split_and_merge_shards"


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LIMITS, orient="row")


def told(
    source: Source,
    *rows: tuple[str, str, float],
    defaults: pl.DataFrame | None = None,
) -> Told:
    return Told(
        source=source,
        limits=limits(*rows),
        defaults=empty(LIMITS) if defaults is None else defaults,
        omits_defaults=defaults is not None,
    )


DEFAULTS = limits((EVERYONE, RATE, 10_000), (EVERYONE, BURST, 200_000))
FILE = told(Source.RUNTIME_CONFIG, ("a", RATE, 5), defaults=DEFAULTS)


def test_an_absent_override_is_the_default_only_where_the_source_leaves_defaults_out() -> None:
    pairs = limits(("a", RATE, 0), ("b", RATE, 0), ("b", "request_rate", 0))
    document = told(Source.DOCUMENT, ("a", RATE, 5))

    assert FILE.about(pairs).rows() == [("a", RATE, 5.0, True), ("b", RATE, 10_000.0, False)]
    assert document.about(pairs).rows() == [("a", RATE, 5.0, True)]


def test_the_first_source_that_knows_a_limit_is_believed() -> None:
    api = told(Source.USER_LIMITS, ("a", RATE, 6), ("a", "request_rate", 7))

    found = effective([FILE, api], limits(("a", RATE, 0), ("a", "request_rate", 0)))

    assert found.rows() == [
        ("a", RATE, 5.0, "/runtime_config"),
        ("a", "request_rate", 7.0, "/api/v1/user_limits"),
    ]


def test_sources_that_say_the_same_in_their_own_ways_agree() -> None:
    """The exporter leaves out what equals its default; the API tells it; the document is ours."""
    exporter = told(Source.EXPORTER, ("a", RATE, 5), defaults=DEFAULTS)
    api = told(Source.USER_LIMITS, ("a", RATE, 5), ("a", BURST, 200_000), ("b", RATE, 10_000))
    document = told(Source.DOCUMENT, ("a", RATE, 5), ("b", BURST, 200_000))

    assert disagreements([FILE, api, exporter, document]).is_empty()


def test_an_exporter_with_another_default_agrees_where_the_values_are_the_same() -> None:
    """An override that equals one component's default is left out there and shown elsewhere."""
    others = limits((EVERYONE, RATE, 5))
    exporter = told(Source.EXPORTER, defaults=others)

    found = disagreements([FILE, exporter])

    assert found.rows() == [
        ("", RATE, "/runtime_config", 10_000.0, "overrides-exporter", 5.0, OTHER_DEFAULTS)
    ]


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        pytest.param(
            told(Source.EXPORTER, ("a", RATE, 6), defaults=DEFAULTS), TWO_VALUES, id="two"
        ),
        pytest.param(told(Source.EXPORTER, defaults=DEFAULTS), NOT_RELOADED, id="absent"),
        pytest.param(told(Source.DOCUMENT, ("a", RATE, 6)), NOT_LOADED, id="ours"),
        pytest.param(told(Source.USER_LIMITS, ("a", RATE, 6)), TWO_VALUES, id="api"),
        pytest.param(
            told(Source.USER_LIMITS, ("a", RATE, 5), ("b", RATE, 6)),
            f"{NOT_RELOADED}; or {OTHER_DEFAULTS}",
            id="api-against-default",
        ),
    ],
)
def test_a_disagreement_is_named_with_its_likely_cause(other: Told, cause: str) -> None:
    found = disagreements([FILE, other])

    assert found["cause"].to_list() == [cause]
    assert found["source_a"].to_list() == ["/runtime_config"]
    assert found["source_b"].to_list() == [str(other.source)]
    assert found["value_a"][0] != found["value_b"][0]


@pytest.mark.parametrize(
    ("limit", "written", "loaded", "agree"),
    [
        pytest.param(SHARDS, 5, 8, True, id="power-of-two"),
        pytest.param(SHARDS, 8, 8, True, id="is-one"),
        pytest.param(SHARDS, 8, 16, False, id="another-power"),
        pytest.param(SHARDS, 0, 0, True, id="zero-shards"),
        pytest.param(SHARDS, 0, 1, False, id="zero-is-not-one"),
        pytest.param(BURST, 1500.5, 1500, True, id="cut-off"),
        pytest.param(BURST, -5.5, -5, True, id="negative-cut-off"),
        pytest.param(BURST, -5, 5, False, id="sign"),
        pytest.param(RATE, 1500.5, 1500, False, id="a-rate-has-a-fraction"),
        pytest.param(RATE, math.inf, math.inf, True, id="unlimited"),
    ],
)
def test_what_mimir_makes_of_a_value_is_no_disagreement(
    limit: str, written: float, loaded: float, *, agree: bool
) -> None:
    file = told(Source.RUNTIME_CONFIG, ("a", limit, loaded))
    document = told(Source.DOCUMENT, ("a", limit, written))

    assert disagreements([file, document]).is_empty() is agree


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from([RATE, BURST, SHARDS])),
        st.floats(allow_nan=False),
    )
)
def test_values_are_kept_as_they_were_told(values: dict[tuple[str, str], float]) -> None:
    """Zero, negative, fractional and infinite limits come out as they went in."""
    rows = [(tenant, limit, value) for (tenant, limit), value in values.items()]
    one = told(Source.RUNTIME_CONFIG, *rows)

    found = effective([one], limits(*rows))

    assert sorted(found.select(LIMITS.names()).rows()) == sorted(rows)
    assert disagreements([one, told(Source.DOCUMENT, *rows)]).is_empty()


def test_an_override_is_what_differs_from_the_default() -> None:
    """A default of 0 is a value like any other."""
    api = told(Source.USER_LIMITS, ("a", RATE, 10_000), ("a", BURST, 3), ("b", "request_rate", 0))

    found = overridden([api, told(Source.EXPORTER, ("c", RATE, 8), defaults=DEFAULTS)])

    assert sorted(found.rows()) == [("a", BURST, 3.0), ("b", "request_rate", 0.0), ("c", RATE, 8.0)]


def test_an_override_that_only_a_lesser_source_has_is_not_in_force() -> None:
    lagging = told(Source.EXPORTER, ("b", RATE, 9), defaults=DEFAULTS)

    assert overridden([FILE, lagging]).rows() == [("a", RATE, 5.0)]


def test_only_the_runtime_file_tells_of_every_limit() -> None:
    exporter = told(Source.EXPORTER, ("a", RATE, 5), defaults=DEFAULTS)
    closed = Told(
        source=Source.RUNTIME_CONFIG,
        limits=empty(LIMITS),
        defaults=limits((EVERYONE, "request_rate", 0)),
        omits_defaults=False,
    )

    assert names_told([FILE, exporter]) is None
    assert names_told([closed, exporter]) == {RATE, BURST}
    assert sorted(defaults_told([closed, exporter])["limit"]) == [BURST, RATE, "request_rate"]


def test_nothing_told_is_nothing_known() -> None:
    assert disagreements([]).is_empty()
    assert effective([], limits(("a", RATE, 0))).is_empty()
    assert overridden([]).schema == LIMITS


def test_what_a_source_cannot_tell_of_stays_remembered() -> None:
    remembered = limits(
        ("a", "request_rate", 3), ("a", RATE, 4), (EVERYONE, RATE, 1), (EVERYONE, "x", 2)
    )

    observed = observed_beneath(
        limits(("b", RATE, 8)),
        published=empty(LIMITS),
        defaults=limits((EVERYONE, RATE, 10_000)),
        remembered=remembered,
        known={RATE},
    )

    assert sorted(observed.rows()) == [
        (EVERYONE, RATE, 10_000.0),
        (EVERYONE, "x", 2.0),
        ("a", "request_rate", 3.0),
        ("b", RATE, 8.0),
    ]
