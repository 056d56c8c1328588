"""Reading ahead: in order, one part early, and an error where it belongs."""

from __future__ import annotations

from threading import Event

import pytest

from storage.ahead import read_ahead


def test_parts_come_in_order_and_the_next_is_read_meanwhile() -> None:
    second_was_read = Event()

    def read(part: int) -> int:
        if part == 2:
            second_was_read.set()
        return part * 10

    found = read_ahead(read, [1, 2, 3])

    assert next(found) == 10
    assert second_was_read.wait(timeout=5)
    assert list(found) == [20, 30]


def test_no_parts_are_no_work() -> None:
    assert list(read_ahead(str, [])) == []


def test_an_error_comes_where_its_part_would() -> None:
    found = read_ahead(lambda part: 1 // part, [1, 0])

    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
