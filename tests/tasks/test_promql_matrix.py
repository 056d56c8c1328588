"""Reading many series in bulk: the same rows as reading each by itself, or a refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import ConfigError
from tasks import promql_matrix
from tasks.promql_answer import PartialAnswer
from tasks.promql_http import PromqlUnavailable
from tasks.promql_matrix import read_matrix

LABELS = ("__name__", "pod", "user", "reason")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What is cut at when it stands in the text, and what must not be when it stands in a label.
TRAPS = (
    '","user":"',
    ',"user":"x',
    ']]},{"metric":{"__name__":"y"',
    '},"values":[[1,"2"]]}]',
    '"result":[{"metric":',
    "a\\",
    '\\"',
    "],[",
    "{}",
    "a<b>&c",
    "é\u2028",
)
TEXTS = st.sampled_from(TRAPS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN_TEXTS = st.text(st.sampled_from("aZ09é.,:{}[]|<>-_/ "), max_size=8)
NAMES = st.sampled_from((*LABELS, "instance", "zone", "x,user", "User"))
ODD_NAMES = NAMES | st.just('x"user')
VALUES = st.sampled_from(("0", "NaN", "+Inf", "-Inf", "1e+06")) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)


def points(*, least: int = 0) -> st.SearchStrategy[list[tuple[float, str]]]:
    """Points of a series in the order of time."""
    milliseconds = st.integers(0, 4_000_000_000_000)
    each = st.tuples(milliseconds.map(lambda moment: moment / 1000), VALUES)
    several = st.lists(each, min_size=least, max_size=4, unique_by=lambda point: point[0])
    return several.map(sorted)


HISTOGRAM = {"count": "4", "sum": "1.5", "buckets": [[0, "-1", "2.5", "4"]]}
SERIES = st.fixed_dictionaries(
    {"metric": st.dictionaries(ODD_NAMES, TEXTS, max_size=5), "values": points()},
    optional={"histograms": st.just([[1.0, HISTOGRAM]])},
)
# What every server writes nearly always: no escape, and points.
PLAIN_SERIES = st.tuples(st.dictionaries(NAMES, PLAIN_TEXTS, max_size=5), points(least=1)).map(
    lambda one: {"metric": one[0], "values": one[1]}
)


def written(
    series: object, *, blanks: bool = False, ascii_only: bool = False, **beside: object
) -> bytes:
    """The answer as JSON; without blanks it is what Go's servers write."""
    answer = {
        "status": "success",
        "data": {"resultType": "matrix", "result": series},
        **beside,
    }
    separators = (", ", ": ") if blanks else (",", ":")
    return json.dumps(answer, separators=separators, ensure_ascii=ascii_only).encode()


def read(body: bytes) -> list[tuple[object, ...]]:
    rows = read_matrix(body, labels=LABELS, where="http://prom")
    return sorted(rows.rows(), key=repr)


def meant(series: list[dict[str, object]]) -> list[tuple[object, ...]]:
    """What the answer says, taken from what it was made of."""
    rows = [
        (
            *(one["metric"].get(label) for label in LABELS),  # type: ignore[attr-defined]
            EPOCH + timedelta(milliseconds=round(seconds * 1000)),
            float(value),
        )
        for one in series
        for seconds, value in one["values"]  # type: ignore[attr-defined]
        if value not in {"NaN", "+Inf", "-Inf"}
    ]
    return sorted(rows, key=repr)


def one_series(
    *points: tuple[float, str], name: str = "cortex_x", **labels: str
) -> dict[str, object]:
    return {"metric": {"__name__": name, **labels}, "values": points}


@given(
    series=st.lists(SERIES, max_size=6),
    style=st.fixed_dictionaries({"blanks": st.booleans(), "ascii_only": st.booleans()}),
    piece=st.integers(1, 200),
)
def test_every_legal_answer_is_read_as_it_was_meant(
    series: list[dict[str, object]], style: dict[str, bool], piece: int
) -> None:
    """
    Whatever a label holds, wherever the pieces end, and whether or not there are blanks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promql_matrix, "_PIECE_BYTES", piece)

        found = read(written(series, **style))

    assert found == meant(series)


@given(series=st.lists(PLAIN_SERIES, min_size=1, max_size=6), piece=st.integers(1, 200))
def test_what_has_no_escape_is_cut_and_not_decoded(
    series: list[dict[str, object]], piece: int
) -> None:
    """
    Whichever labels stand before and after the tenant's: to decode a series costs several times
    the time and the memory.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promql_matrix, "_PIECE_BYTES", piece)
        patch.setattr(promql_matrix, "_points", None)

        found = read(written(series))

    assert found == meant(series)


@given(
    series=st.lists(SERIES, max_size=3),
    style=st.fixed_dictionaries({"blanks": st.booleans(), "ascii_only": st.booleans()}),
    share=st.floats(0, 1, exclude_max=True),
)
def test_wherever_an_answer_is_cut_short_it_is_refused(
    series: list[dict[str, object]], style: dict[str, bool], share: float
) -> None:
    whole = written(series, **style)

    with pytest.raises((PromqlUnavailable, ConfigError)):
        read(whole[: int(len(whole) * share)])


def test_the_tenants_are_texts_and_the_other_labels_categories() -> None:
    body = written([one_series((1.0, "1"), user="a", pod="d-0")])

    schema = read_matrix(body, labels=LABELS, where="http://prom").schema

    assert schema["user"] == pl.String()
    assert {schema[label] for label in LABELS if label != "user"} == {pl.Categorical()}


def test_a_point_that_is_given_twice_is_taken_once_and_that_of_another_series_is_not_it() -> None:
    twice = one_series((1.0, "1"), (1.0, "1"), (2.0, "2"), user="a")
    other = one_series((2.0, "2"), user="b")

    users = [row[2] for row in read(written([twice, other]))]

    assert users == ["a", "a", "b"]


def test_native_histograms_beside_the_samples_are_no_samples() -> None:
    histogram = {"metric": {"__name__": "cortex_y"}, "histograms": [[1.0, {"count": "4"}]]}
    sample = one_series((1.0, "1"), user="a")

    assert [row[0] for row in read(written([sample, histogram, sample]))] == ["cortex_x"] * 2


def test_what_is_said_after_many_series_is_heard() -> None:
    series = [one_series((1.0, "1"), user=str(number)) for number in range(50)]

    with pytest.raises(PartialAnswer, match="store gone"):
        read(written(series, warnings=["store gone ]]}]"]))


@pytest.mark.parametrize("left", [30, 90, 150, -1, -2, -3, -4])
def test_an_answer_that_is_cut_short_gives_no_row(left: int) -> None:
    whole = written([one_series((1.0, "1"), user=str(number)) for number in range(50)])

    with pytest.raises(PromqlUnavailable, match="cut short"):
        read(whole[:left])


@pytest.mark.parametrize(
    "point",
    [(1.0, "x"), ("x", "1"), (1.0,), (1.0, ""), (1.0, "1_0")],
    ids=["value", "time", "alone", "empty", "underscore"],
)
def test_samples_that_are_no_numbers_are_refused(point: tuple[object, ...]) -> None:
    good = one_series((1.0, "1"), user="a")
    bad = {"metric": {"__name__": "cortex_x", "user": "b"}, "values": [point]}

    with pytest.raises(ConfigError, match="no numbers"):
        read(written([good, bad]))
