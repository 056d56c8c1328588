from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.settings import format_duration, parse_duration

LENGTHS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500))


@given(LENGTHS)
def test_a_written_duration_reads_back_as_itself(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


@given(hours=st.integers(0, 999), minutes=st.integers(0, 59), seconds=st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    length = parse_duration(f"{hours}h{minutes}m{seconds}s")

    assert length == timedelta(hours=hours, minutes=minutes, seconds=seconds)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("5m", timedelta(minutes=5)),
        ("48h", timedelta(days=2)),
        ("1h30m", timedelta(minutes=90)),
        ("90s", timedelta(minutes=1, seconds=30)),
        ("1.5h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("7d", timedelta(weeks=1)),
        ("0", timedelta(0)),
    ],
    ids=str,
)
def test_a_duration_is_read_as_operators_write_it(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["15", "-5", "2.5"])
def test_a_number_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no unit; write it like"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "soon", "5 m", "5m30", "-5m", "5M", "nan", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write it like 15s"):
        parse_duration(text)


def test_a_duration_beyond_a_lifetime_is_refused_not_overflowed() -> None:
    with pytest.raises(ValueError, match="longer than a hundred years"):
        parse_duration("9" * 30 + "h")


def test_a_negative_length_has_no_spelling() -> None:
    with pytest.raises(ValueError, match="below zero"):
        format_duration(timedelta(seconds=-1))
