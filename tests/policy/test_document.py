"""The runtime file: the same limits give the same bytes, and what Mimir refuses is refused."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from ruamel.yaml import YAML

from policy.document import DocumentError, _parse_any, digest, parse, render
from policy.frames import LIMITS, empty

LEGAL = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!-_.*'()"
TENANTS = st.text(LEGAL, min_size=1, max_size=150) | st.sampled_from(
    ["123", "007", "1e3", "true", "null", "no", "on", "-", "*", "!x", "'", "2026-01-01", ".5"]
)
VALUES = st.floats(0, 1.7e308) | st.integers(0, 2**53).map(float)
ROWS = st.lists(
    st.tuples(TENANTS, st.sampled_from(["ingestion_rate", "ingestion_burst_size"]), VALUES),
    max_size=8,
    unique_by=lambda row: (row[0], row[1]),
)


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def sorted_limits(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("tenant", "limit")


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_what_is_rendered_is_read_back(rows: list) -> None:
    """Both readers agree: the quick one for our own files, and the one with a YAML parser."""
    frame = limits(*rows)

    document = render(frame)

    assert_frame_equal(parse(document), sorted_limits(frame))
    assert_frame_equal(_parse_any(document), sorted_limits(frame))


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, data=st.data())
def test_the_order_of_the_rows_does_not_change_a_byte(rows: list, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))

    assert render(limits(*rows)) == render(limits(*shuffled))


@pytest.mark.parametrize("tenant", ["123", "true", "null", "a'b", "~", 'a"b', "a\\b", "é\n"])
def test_another_yaml_reader_sees_the_tenant_as_a_string(tenant: str) -> None:
    document = render(limits((tenant, "ingestion_rate", 1.0)))

    read = YAML(typ="safe").load(document)

    assert read == {"overrides": {tenant: {"ingestion_rate": 1}}}
    assert_frame_equal(parse(document), limits((tenant, "ingestion_rate", 1.0)))


@pytest.mark.parametrize(
    ("value", "text"),
    [(1500.0, "1500"), (1500.5, "1500.5"), (1e15, "1" + "0" * 15), (0.0, "0"), (2e6, "2000000")],
)
def test_a_whole_number_is_written_as_one(value: float, text: str) -> None:
    assert (
        f"    ingestion_rate: {text}\n" in render(limits(("a", "ingestion_rate", value))).decode()
    )


def test_no_limits_give_a_file_that_says_so_rather_than_an_empty_one() -> None:
    document = render(empty(LIMITS))

    assert YAML(typ="safe").load(document) == {"overrides": {}}
    assert parse(document).is_empty()


def test_the_file_says_whose_it_is() -> None:
    assert render(empty(LIMITS)).decode().startswith("# Mimir Limit Optimizer owns this file")


@pytest.mark.parametrize("document", [b"{}\n", b"overrides: {}\n", b"overrides:\n"])
def test_a_file_without_overrides_holds_no_limits(document: bytes) -> None:
    assert parse(document).is_empty()


def test_an_edited_file_is_read_with_its_comments_and_bare_keys() -> None:
    document = (
        b"# mine\noverrides:\n  007: {ingestion_rate: 8e+2}\n  true:\n    ingestion_rate: 5\n"
    )

    assert parse(document).rows() == [("007", "ingestion_rate", 800), ("true", "ingestion_rate", 5)]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"overrides: [\n", "no YAML"),
        (b"overrides:\n  a: {x: 1}\n  a: {x: 2}\n", "line 3: 'a' appears twice in overrides"),
        (b"overrides:\n  a:\n    x: 1\n    x: 2\n", "line 4: 'x' appears twice in tenant a"),
        (b"overrides: {}\ningester_limits: {}\n", "line 2: 'ingester_limits' beside"),
        (b'overrides:\n  a:\n    x: "800"\n', "line 3: x of a must be a plain number"),
        (b"overrides:\n  a:\n    x: fast\n", "must be a plain number"),
        (b"overrides:\n  a:\n    x: true\n", "must be a plain number"),
        (b"overrides:\n  a:\n    x: .inf\n", "must be a plain number"),
        (b"overrides:\n  a:\n    x: [1]\n", "must be a plain number"),
        (b"overrides:\n  a: 5\n", "tenant a must be a mapping"),
        (b"overrides:\n  a:\n", "tenant a must be a mapping"),
        (b"overrides:\n  ? [a]\n  : {x: 1}\n", "not a plain name"),
        (b"- overrides\n", "the file must be a mapping"),
        (b"overrides: {}\n---\noverrides: {}\n", "no YAML"),
        (b"overrides:\n  \xff: {}\n", "not UTF-8"),
    ],
)
def test_a_file_that_mimir_would_refuse_is_refused(document: bytes, problem: str) -> None:
    with pytest.raises(DocumentError, match="(?s)" + problem):
        parse(document)


def test_a_file_of_ours_with_one_byte_more_is_still_read_right() -> None:
    frame = limits(("a", "ingestion_rate", 5.0), ("b", "ingestion_rate", 7.0))

    assert_frame_equal(parse(render(frame) + b"\n"), frame)


def test_the_digest_follows_the_content() -> None:
    one, other = render(limits(("a", "x", 1.0))), render(limits(("a", "x", 2.0)))

    assert digest(one) == digest(bytes(one))
    assert digest(one) != digest(other)
