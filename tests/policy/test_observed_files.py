"""The runtime files that real servers refuse, or take and get wrong: none of them is written."""

from __future__ import annotations

import polars as pl
import pytest

from policy.catalogue import known_in
from policy.document import DocumentError, parse, render
from policy.frames import LIMITS
from policy.validate import validate

KNOWN = known_in("3.0.4")

# Rejected by Mimir and Cortex; a process that restarts does not start with them.
REFUSED = {
    "broken YAML": 'overrides:\n  "a": {ingestion_rate: 5\n',
    "an unknown top-level key": 'overrides: {}\ntenants:\n  "a": {ingestion_rate: 5}\n',
    "a duplicate tenant": 'overrides:\n  "a": {ingestion_rate: 5}\n  "a": {ingestion_rate: 6}\n',
    "a quoted number": 'overrides:\n  "a": {ingestion_rate: "800"}\n',
    "two documents": "overrides: {}\n---\noverrides: {}\n",
    "an empty file, which drops every override": "",
}
# Taken by both, and what becomes of it there.
ODD_VALUES = {
    "an unknown limit, which refuses the file": ("ingestion_rat", 5.0),
    "a fraction of a whole number, which is cut off": ("max_global_series_per_user", 1_500.5),
    "a negative rate": ("ingestion_rate", -5.0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_real_servers_refuse_is_not_ours_to_build_on(name: str) -> None:
    with pytest.raises(DocumentError):
        parse(REFUSED[name].encode())


@pytest.mark.parametrize("name", ODD_VALUES)
def test_what_real_servers_get_wrong_is_found_before_it_is_written(name: str) -> None:
    limit, value = ODD_VALUES[name]
    frame = pl.DataFrame([("a", limit, value)], schema=LIMITS, orient="row")

    assert len(validate(frame, known=KNOWN)) == 1


@pytest.mark.parametrize("text", ["8e+2", "800.0", "0.8e3", "800"])
def test_a_number_that_real_servers_take_is_read_as_they_read_it(text: str) -> None:
    document = f'overrides:\n  "a":\n    ingestion_rate: {text}\n'

    assert parse(document.encode()).rows() == [("a", "ingestion_rate", 800.0)]
    assert b"ingestion_rate: 800\n" in render(parse(document.encode()))
