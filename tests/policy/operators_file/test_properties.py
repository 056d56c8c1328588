"""Whatever the operator's file looks like: only ours changes, and what stood there comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from ruamel.yaml import YAML

from policy.frames import LIMITS
from policy.operators_file import claimed, edited
from tests.policy.operators_file.files import NOTHING

LEGAL = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!-_.*'()"
TENANTS = st.text(LEGAL, min_size=1, max_size=20) | st.sampled_from(
    ["123", "true", "null", "no", "1e3", "0x1", "*", "!x", "a'b", "-", "..", "x" * 150]
)
OURS = ("rate", "burst", "series", "chunks")
BARE = frozenset("abcdefghijklmnopqrstuvwxyz")
SPELLED = {True: "true", False: "false", None: "null"}  # bare keys as the other reader has them

comments = st.sampled_from(["", "", "  # note", " # a: 1", "   "])
numbers = st.sampled_from(["1", "5", "2.50", "1e6", "+7", '"8"', "!!int 9", "~", "", "0x10", "7d"])
others = st.sampled_from(
    ["[1, 2]", "{x: 1}", "true", "13h", "'a: b'", '"# no"', "[\n          1,\n          2]"]
)
wanted_values = st.floats(0, 1e300) | st.integers(0, 2**53).map(float)


@dataclass(frozen=True)
class Written:
    """A file, and the tenants that are in it."""

    text: str
    tenants: list[str]


def key_of(tenant: str, draw: st.DrawFn) -> str:
    quoted = [f'"{tenant}"', "'" + tenant.replace("'", "''") + "'"]
    return draw(
        st.sampled_from([*quoted, tenant] if set(tenant) <= BARE or tenant == "123" else quoted)
    )


def noise(draw: st.DrawFn, *columns: int) -> list[str]:
    """Lines between entries, which belong to nobody."""
    kinds = ["", "   ", *(" " * column + "# gone: 1" for column in columns)]
    return draw(st.lists(st.sampled_from(kinds), max_size=2))


def in_braces(draw: st.DrawFn, names: list[str]) -> str:
    parts = [f'"{name}": {draw(numbers.filter(bool))}' for name in names]
    inner = draw(st.sampled_from([", ", ",", " ,\n          "])).join(parts)
    padding = draw(st.sampled_from(["", " "]))
    trailing = draw(st.sampled_from(["", ","])) if parts else ""
    return f"{{{padding}{inner}{trailing}{padding}}}"


def block_of(draw: st.DrawFn, names: list[str], *, column: int, merged: str | None) -> list[str]:
    """The lines of a tenant's limits."""
    indent = " " * column
    lines = [] if merged is None else [f"{indent}<<: *{merged}"]
    for name in names:
        value = draw(others if name == "foreign" else numbers)
        lines += [f"{indent}{name}: {value}".rstrip() + draw(comments), *noise(draw, 0, column)]
    return lines


@st.composite
def files(draw: st.DrawFn, *, with_nothing: bool) -> Written:
    """A file of the operator; `with_nothing` lets tenants be null."""
    tenants = draw(st.lists(TENANTS, max_size=5, unique=True))
    first, step = draw(st.sampled_from([(1, 2), (2, 2), (4, 4), (2, 3)]))
    lines = [*noise(draw, 0), *draw(st.sampled_from([[], ["ingester_limits: {max: 1}"]]))]
    lines.append("overrides:" + draw(comments) if tenants else "overrides: {}")
    anchors: list[str] = []
    for number, tenant in enumerate(tenants):
        key = " " * first + key_of(tenant, draw) + ":"
        names = draw(st.lists(st.sampled_from([*OURS, "foreign"]), max_size=4, unique=True))
        shapes = ["block", "braces"] + ["null"] * with_nothing + ["alias", "merge"] * bool(anchors)
        shape = draw(st.sampled_from(shapes))
        merged = draw(st.sampled_from(anchors)) if shape in {"alias", "merge"} else None
        anchor = f" &t{number}" if shape in {"block", "braces"} and draw(st.booleans()) else ""
        if shape == "alias":
            lines.append(f"{key} *{merged}{draw(comments)}")
        elif shape == "null":
            lines.append(key + draw(st.sampled_from(["", " ~", " null"])) + draw(comments))
        elif shape == "braces" or (not names and merged is None):
            braces = in_braces(draw, [name for name in names if name != "foreign"])
            lines.append(f"{key}{anchor} {braces}{draw(comments)}")
        else:
            lines.append(key + anchor + draw(comments))
            lines += block_of(draw, names, column=first + step, merged=merged)
        if anchor:
            anchors.append(f"t{number}")
        lines += noise(draw, 0, first, first + step)
    lines += draw(st.sampled_from([[], ["distributor_limits:", "  max: 1  # of it", "# end"]]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return Written(text + draw(st.sampled_from(["", "\n"])), tenants)


def wanted_of(written: Written) -> st.SearchStrategy[pl.DataFrame]:
    some = st.sampled_from(written.tenants) | TENANTS if written.tenants else TENANTS
    rows = st.lists(
        st.tuples(some, st.sampled_from(OURS), wanted_values),
        max_size=8,
        unique_by=lambda row: (row[0], row[1]),
    )
    return rows.map(
        lambda found: pl.DataFrame(found, schema=LIMITS, orient="row").sort("tenant", "limit")
    )


def meaning(text: str) -> dict:
    """The file as another reader has it, merge keys resolved."""
    loaded = YAML(typ="safe", pure=True).load(text)
    tenants = loaded.pop("overrides", None) or {}
    named = {SPELLED.get(name, str(name)): dict(its or {}) for name, its in tenants.items()}
    return {"overrides": named, **loaded}


@settings(max_examples=60)
@given(data=st.data())
def test_the_file_differs_in_the_wanted_places_and_nowhere_else(data: st.DataObject) -> None:
    written = data.draw(files(with_nothing=True))
    wanted = data.draw(wanted_of(written))

    text, claims = edited(written.text, claims=NOTHING, wanted=wanted)

    expected = meaning(written.text)
    for tenant, limit, value in wanted.iter_rows():
        expected["overrides"].setdefault(tenant, {})[limit] = value
    assert meaning(text) == expected
    assert_frame_equal(claimed(text, claims=claims), wanted)
    assert edited(text, claims=claims, wanted=wanted) == (text, claims)


@settings(max_examples=60)
@given(data=st.data())
def test_set_and_withdrawn_gives_the_same_bytes(data: st.DataObject) -> None:
    """After one set of limits and another over it, which takes some away and changes others.

    What is kept of the file is the numbers alone, so that no comment can have been lost between.
    """
    written = data.draw(files(with_nothing=False))
    text, claims = written.text, NOTHING

    for _ in range(2):
        wanted = data.draw(wanted_of(written))
        text, claims = edited(text, claims=claims, wanted=wanted)
        assert_frame_equal(claimed(text, claims=claims), wanted)

    empty = pl.DataFrame(schema=LIMITS)
    assert edited(text, claims=claims, wanted=empty) == (written.text, NOTHING)


@settings(max_examples=30)
@given(data=st.data())
def test_set_and_withdrawn_gives_the_same_meaning_where_tenants_were_null(
    data: st.DataObject,
) -> None:
    written = data.draw(files(with_nothing=True))
    text, claims = edited(written.text, claims=NOTHING, wanted=data.draw(wanted_of(written)))

    left, claims = edited(text, claims=claims, wanted=pl.DataFrame(schema=LIMITS))

    assert claims == NOTHING
    assert meaning(left) == meaning(written.text)
    assert left.count("\n") == written.text.count("\n")


@settings(max_examples=40)
@given(data=st.data())
def test_json_stays_json_and_comes_back(data: st.DataObject) -> None:
    numbers_or_words = st.floats(0, 1e9) | st.text("aé😀 #:{}[],\"'\\\n", max_size=5)
    lists = st.lists(st.booleans(), max_size=2)
    entries = st.dictionaries(st.sampled_from(OURS), numbers_or_words, max_size=3)
    tenants = data.draw(st.dictionaries(TENANTS, entries, max_size=4))
    for its in tenants.values():
        its.update(data.draw(st.dictionaries(st.just("foreign"), lists)))
    text = json.dumps(
        {"overrides": tenants, "m": {}},
        indent=data.draw(st.sampled_from([None, 1, "\t"])),
        separators=data.draw(st.sampled_from([(",", ":"), (", ", ": ")])),
        ensure_ascii=False,
    )
    wanted = data.draw(wanted_of(Written(text, list(tenants))))

    with_ours, claims = edited(text, claims=NOTHING, wanted=wanted)

    for tenant, limit, value in wanted.iter_rows():
        tenants.setdefault(tenant, {})[limit] = value
    assert json.loads(with_ours) == {"overrides": tenants, "m": {}}
    assert edited(with_ours, claims=claims, wanted=wanted.clear()) == (text, NOTHING)
