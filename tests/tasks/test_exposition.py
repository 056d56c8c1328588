"""Reading the wanted families out of a metrics page."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from policy.frames import READINGS
from policy.scrape import FAMILIES
from tasks.exposition import PAGE, read_pages

PAGES = Path(__file__).parent.parent / "fixtures" / "metrics"
COLUMNS = ("user", "reason", "limit", "limit_name", "sha256", "version")

Row = tuple[str | float | None, ...]


def captured(name: str) -> bytes:
    path = PAGES / name
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def by_prometheus_client(page: bytes, *, families: Collection[str]) -> Counter[Row]:
    """What the reference parser finds, as a bag of rows."""
    return Counter(
        (sample.name, *(sample.labels.get(name) for name in COLUMNS), sample.value)
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name in families and math.isfinite(sample.value)
    )


class Refused(Exception):  # noqa: N818
    """The only page was refused."""


def read_page(page: bytes, *, families: Collection[str]) -> pl.DataFrame:
    """The rows of the only page."""
    read = read_pages({"pod": page}, families=families)
    for why in read.refused.values():
        raise Refused(why)
    assert set(read.rows["pod"]) <= {"pod"}
    return read.rows.drop("pod")


def bag(page: bytes, *, families: Collection[str] = FAMILIES) -> Counter[Row]:
    return Counter(read_page(page, families=families).iter_rows())


def one(line: str) -> Row:
    """The only row of a page with this line, of the family cortex_overrides."""
    rows = read_page(f"{line}\n".encode(), families={"cortex_overrides"}).rows()
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    "name",
    [
        "cortex-all-200-tenants.prom.gz",
        "cortex-distributor-200-tenants.prom.gz",
        "mimir-all-10-tenants.prom.gz",
        "mimir-all-200-tenants.prom.gz",
        "sample_distributor.prom",
        "sample_ingester.prom",
        "sample_overrides_exporter.prom",
    ],
)
def test_a_captured_page_reads_as_the_reference_parser_reads_it(name: str) -> None:
    page = captured(name)

    found = bag(page)

    assert found == by_prometheus_client(page, families=FAMILIES)
    assert found.total() > 0


def test_a_page_of_two_thousand_tenants_reads_as_the_reference_parser_reads_it() -> None:
    """
    The reference parser reads only the wanted lines here: the whole page takes it seconds.
    """
    page = captured("mimir-all-2000-tenants.prom.gz")
    wanted = tuple(f"{family}{mark}".encode() for family in FAMILIES for mark in "{ ")
    lines = b"".join(line for line in page.splitlines(keepends=True) if line.startswith(wanted))

    assert bag(page) == by_prometheus_client(lines, families=FAMILIES)


def test_the_columns_are_those_of_the_readings_without_time_and_pod() -> None:
    frame = read_page(captured("mimir-all-10-tenants.prom.gz"), families=FAMILIES)

    assert frame.schema == pl.Schema({k: v for k, v in PAGE.items() if k != "pod"})
    assert frame.columns == [name for name in READINGS if name not in {"at", "pod"}]


@pytest.mark.parametrize(
    ("line", "user", "limit_name", "value"),
    [
        pytest.param(r'cortex_overrides{user="a\\n\"b\n"} 5', 'a\\n"b\n', None, 5.0, id="escapes"),
        pytest.param(
            'cortex_overrides{limit_name="x,y}#{",user="a"} 5', "a", "x,y}#{", 5.0, id="punctuation"
        ),
        pytest.param(
            'cortex_overrides{z="user=",user="real"} 5', "real", None, 5.0, id="label-in-a-value"
        ),
        pytest.param(
            'cortex_overrides{xuser="no",user_x="no",user="a"} 5', "a", None, 5.0, id="like-named"
        ),
        pytest.param('cortex_overrides{user="a",} 5', "a", None, 5.0, id="trailing-comma"),
        pytest.param(
            ' \tcortex_overrides { user\t= "a" , limit_name ="b" } \t5 ', "a", "b", 5.0, id="blanks"
        ),
        pytest.param('cortex_overrides{user="a"} 5 1700000000000', "a", None, 5.0, id="timestamp"),
        pytest.param("cortex_overrides 5 -17", None, None, 5.0, id="no-labels"),
        pytest.param("cortex_overrides{} 5", None, None, 5.0, id="empty-braces"),
        pytest.param('cortex_overrides{user=""} 5', "", None, 5.0, id="empty-value"),
        pytest.param(
            'cortex_overrides{user="a"} 5 # {user="b"} 1 1.5', "a", None, 5.0, id="exemplar"
        ),
        pytest.param('cortex_overrides{user="a"} 5\r', "a", None, 5.0, id="crlf"),
        pytest.param('cortex_overrides{user="é☃"} -2.5e-3', "é☃", None, -0.0025, id="unicode"),
        pytest.param('{"cortex_overrides","user"="a"} 5', "a", None, 5.0, id="quoted-names"),
    ],
)
def test_every_legal_shape_of_a_line_is_read(
    line: str, user: str | None, limit_name: str | None, value: float
) -> None:
    assert one(line) == ("cortex_overrides", user, None, None, limit_name, None, None, value)


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-Inf", "Inf"])
@pytest.mark.parametrize("labels", ["", '{user="a"}', '{user="a",type="x"}'])
def test_what_is_not_finite_is_no_measurement(labels: str, number: str) -> None:
    page = f'cortex_overrides{labels} {number}\ncortex_overrides{{user="kept"}} 1\n'.encode()

    frame = read_page(page, families={"cortex_overrides"})

    assert frame.get_column("user").to_list() == ["kept"]


def test_a_family_whose_name_only_starts_like_a_wanted_one_is_not_read() -> None:
    page = (
        b"cortex_overrides_hash 1\ncortex_overrides_bucket 2\nx_cortex_overrides 3\n"
        b'# cortex_overrides 4\n# HELP cortex_overrides cortex_overrides{user="a"} 5\n'
    )

    assert read_page(page, families={"cortex_overrides"}).is_empty()


def test_families_that_are_split_and_interleaved_are_read_whole() -> None:
    page = b"".join(
        b'cortex_overrides{user="%d"} 1\ncortex_limits_defaults{limit_name="%d"} 2\n' % (n, n)
        for n in range(50)
    )

    frame = read_page(page, families=FAMILIES)

    assert frame.group_by("family").len().sort("family").rows() == [
        ("cortex_limits_defaults", 50),
        ("cortex_overrides", 50),
    ]


def test_rows_that_differ_only_in_other_labels_stay_apart() -> None:
    page = (
        b'cortex_distributor_samples_in_total{type="float",user="a"} 3\n'
        b'cortex_distributor_samples_in_total{type="histogram",user="a"} 4\n'
    )

    frame = read_page(page, families=FAMILIES)

    assert sorted(frame.get_column("value")) == [3.0, 4.0]
    assert frame.get_column("user").to_list() == ["a", "a"]


def test_without_wanted_families_there_are_no_rows() -> None:
    frame = read_page(b"cortex_overrides 1\n", families=())

    assert frame.is_empty()
    assert frame.schema == pl.Schema({k: v for k, v in PAGE.items() if k != "pod"})


@pytest.mark.parametrize(
    ("page", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"<!DOCTYPE html><p>cortex_x 1</p>\n", "HTML", id="html"),
        pytest.param(b'cortex_overrides{user="a"} 12', "cut short", id="no-last-newline"),
        pytest.param(b'{"status":"success"}\n', "JSON", id="json"),
        pytest.param(
            b'node_cpu_seconds_total{mode="cortex_idle"} 5\n', "no Mimir or Cortex", id="other"
        ),
        pytest.param(gzip.compress(b"cortex_overrides 1\n"), "gzip", id="gzip"),
        pytest.param(b"\x0a\x12cortex_overrides\n", "no Mimir or Cortex", id="protobuf"),
        pytest.param(b'cortex_overrides{user="\xff"} 1\n', "not UTF-8", id="latin"),
        pytest.param(b'cortex_overrides{user="a\n', "not in the text format", id="open-quote"),
        pytest.param(b'cortex_overrides{user="a" x="b"} 1\n', "text format", id="no-comma"),
        pytest.param(b'cortex_overrides{user="a"} many\n', "text format", id="no-number"),
        pytest.param(b'cortex_overrides{user="a"}\n', "text format", id="no-value"),
    ],
)
def test_a_page_that_cannot_be_trusted_is_refused_with_a_reason(page: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        read_page(page, families=FAMILIES)


def test_an_error_shows_only_the_beginning_of_a_broken_line() -> None:
    page = b"cortex_overrides{" + b"x" * 10_000 + b"\n"

    with pytest.raises(Refused) as caught:
        read_page(page, families=FAMILIES)

    assert len(str(caught.value)) < 250


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"cortex_overrides{" + b'a="",' * 100_000 + b'user="u"} 1\n', id="labels"),
        pytest.param(b'cortex_overrides{user="' + b'\\"' * 500_000 + b'"} 1\n', id="quotes"),
        pytest.param(b"cortex_overrides" + b" " * 1_000_000 + b"1\n", id="blanks"),
    ],
)
def test_a_line_of_a_megabyte_is_read_in_linear_time(line: bytes) -> None:
    assert read_page(line, families=FAMILIES).get_column("value").to_list() == [1.0]


def test_of_pages_read_together_a_broken_one_loses_only_itself() -> None:
    pages = {
        "a": b'cortex_overrides{user="x"} 1\n',
        "cut": b'cortex_overrides{user="x"} 2',
        "broken": b'cortex_overrides{user="x"} 3\ncortex_overrides{user="y" 4\n',
        "b": b'cortex_overrides{user="x",limit_name="l"} 5\ncortex_overrides{user="y"} 6\n',
    }

    read = read_pages(pages, families=FAMILIES)

    assert sorted(read.rows.select("pod", "user", "value").iter_rows()) == [
        ("a", "x", 1.0),
        ("b", "x", 5.0),
        ("b", "y", 6.0),
    ]
    assert set(read.refused) == {"cut", "broken"}
    assert "cut short" in read.refused["cut"]
    assert "not in the text format" in read.refused["broken"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
blanks = st.text(" \t", max_size=2)
other_labels = st.sampled_from(["type", "xuser", "users", "cluster"])
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def lines_and_rows(draw: st.DrawFn) -> tuple[str, Row | None]:
    """A legal line, and the row it should give or None."""
    family = draw(st.sampled_from([*sorted(FAMILIES), "cortex_other_total", "go_goroutines"]))
    names = draw(st.lists(st.sampled_from(COLUMNS) | other_labels, unique=True, max_size=5))
    labels = {name: draw(texts) for name in names}
    number = draw(numbers | st.sampled_from(["NaN", "+Inf"]))

    def blank() -> str:
        return draw(blanks)

    pairs = ",".join(
        f'{blank()}{name}{blank()}={blank()}"{escape(value)}"{blank()}'
        for name, value in labels.items()
    )
    comma = draw(st.sampled_from(["", ","])) if labels else ""
    braces = f"{blank()}{{{pairs}{comma}}}{blank()}" if labels else " "
    after = draw(st.sampled_from(["", " 17", ' 1.5 # {x="y"} 1', "\r"]))
    spelled = number if isinstance(number, str) else repr(number)

    row = (family, *(labels.get(name) for name in COLUMNS), number)
    wanted = family in FAMILIES and not isinstance(number, str)
    return f"{blank()}{family}{braces}{blank()}{spelled}{after}", row if wanted else None


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@settings(deadline=None, max_examples=60)
@given(st.lists(lines_and_rows(), max_size=12))
def test_any_legal_page_gives_exactly_its_samples(drawn: list[tuple[str, Row | None]]) -> None:
    page = "# TYPE cortex_overrides gauge\n" + "".join(f"{line}\n" for line, _ in drawn)
    expected = Counter(row for _, row in drawn if row is not None)

    assert bag(f"{page}cortex_last 1\n".encode()) == expected


def test_a_frame_of_several_shapes_has_no_nulls_where_labels_are() -> None:
    """
    Lines in the plain shape and lines in other shapes end up in the same columns.
    """
    page = rb"""cortex_overrides{user="plain"} 1
cortex_overrides{user="two",limit_name="x"} 2
cortex_overrides{user="esc\\aped"} 3
"""

    frame = read_page(page, families=FAMILIES).sort("value")

    assert frame.select("user", "limit_name").rows() == [
        ("plain", None),
        ("two", "x"),
        ("esc\\aped", None),
    ]
    assert frame.schema["value"] == pl.Float64
