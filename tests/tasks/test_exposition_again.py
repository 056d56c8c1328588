"""A page that is read again gives what it gives when nothing is known of it."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policy.scrape import FAMILIES
from tasks.exposition import PAGE, Pages, read_pages
from tasks.exposition_known import KnownPage
from tasks.exposition_sections import wanted_text

PAGES = Path(__file__).parent.parent / "fixtures" / "metrics"
CAPTURED = ("mimir-all-200-tenants.prom.gz", "cortex-all-200-tenants.prom.gz")
VALUE = re.compile(r" (\d+)$", re.MULTILINE)


def captured(name: str) -> str:
    return gzip.decompress((PAGES / name).read_bytes()).decode()


def with_other_values(page: str, *, seed: int) -> str:
    chance = random.Random(seed)
    return VALUE.sub(lambda found: f" {int(found[1]) + chance.randrange(1_000_000)}", page)


def read(pages: Mapping[str, str], *, known: dict[str, KnownPage] | None = None) -> Pages:
    encoded = {pod: page.encode() for pod, page in pages.items()}
    return read_pages(encoded, families=FAMILIES, known=known)


def assert_same_rows(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert_frame_equal(one, other, check_row_order=False)


@pytest.mark.parametrize("name", CAPTURED)
def test_a_captured_page_with_other_values_is_read_by_what_is_known_of_it(name: str) -> None:
    page = captured(name)
    known: dict[str, KnownPage] = {}
    first = read({"p": page}, known=known)
    learned = known["p"]
    later = with_other_values(page, seed=1)

    again = read({"p": later}, known=known)

    assert known["p"] is learned, "it was taken apart once"
    assert_same_rows(again.rows, read({"p": later}).rows)
    assert_same_rows(first.rows, read({"p": page}).rows)
    keys = [name for name in PAGE if name != "value"]
    assert_frame_equal(first.rows.select(keys), again.rows.select(keys))


LINES = [
    'cortex_overrides{user="a",limit_name="l"}',
    'cortex_overrides{user="b} 7",limit_name="l"}',
    'cortex_overrides{user="c d",limit_name="l"}',
    'cortex_overrides{user="e\\"f",limit_name="l"}',
    'cortex_overrides{user="g 1 h",limit_name="l"}',
    'cortex_overrides{user="i} 2 j",limit_name="l"}',
    'cortex_overrides{limit_name="l",user="a"}',
    "cortex_build_info",
    'cortex_discarded_samples_total{group="",reason="rate_limited",user="a"}',
    'cortex_other_total{user="a"}',
]
VALUES = ["1", "2.5e+06", "NaN", "+Inf", "3 1700000000", '4 # {trace="x"} 1', "x", ""]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(VALUES)), max_size=6),
        min_size=2,
        max_size=4,
    )
)
def test_whatever_a_pod_writes_from_look_to_look_knowing_it_changes_nothing(
    looks: list[list[tuple[str, str]]],
) -> None:
    known: dict[str, KnownPage] = {}
    for look in looks:
        page = "cortex_version 1\n" + "".join(f"{line} {value}\n" for line, value in look)
        knowing, afresh = read({"p": page}, known=known), read({"p": page})

        assert knowing.refused == afresh.refused
        assert_same_rows(knowing.rows, afresh.rows)


def test_a_new_tenant_between_two_others_is_told_from_them() -> None:
    known: dict[str, KnownPage] = {}
    line = 'cortex_ingester_active_series{{user="{}"}} {}\n'
    read({"p": line.format("a", 1) + line.format("c", 2)}, known=known)

    found = read({"p": line.format("a", 1) + line.format("b", 5)}, known=known)

    assert found.rows.select("user", "value").rows() == [("a", 1.0), ("b", 5.0)]


def test_a_page_that_is_refused_leaves_what_is_known_of_it() -> None:
    known: dict[str, KnownPage] = {}
    page = 'cortex_ingester_active_series{user="a"} 1\n'
    read({"p": page}, known=known)
    before = dict(known)

    assert read({"p": page[:-1]}, known=known).refused

    assert known == before


@pytest.mark.parametrize("name", CAPTURED)
def test_only_families_that_nobody_wants_are_left_out(name: str) -> None:
    page = captured(name)

    left = wanted_text(page, families=FAMILIES).splitlines()

    wanted = [line for line in page.splitlines() if re.split("[{ ]", line)[0] in FAMILIES]
    assert [line for line in left if re.split("[{ ]", line)[0] in FAMILIES] == wanted
    assert len(left) < page.count("\n") / 3


@pytest.mark.parametrize(
    "page",
    [
        "# TYPE other counter\nother 1\nwanted 2\n",
        "# TYPE other counter\nwanted 2\nother 1\n",
        "wanted 2\n# TYPE other counter\nother 1\n",
        "# TYPE other counter\nother 1\n# free words\nwanted 2\n",
        '# TYPE other counter\nother{x="#"} 1\n# HELP wanted # of things\nwanted 2\n',
        "# TYPE wan counter\nwanted 2\n",
        "# TYPE\n# TYPE x\nwanted 2",
        "#\nwanted 2\n",
    ],
)
def test_what_is_wanted_stays_wherever_comments_are_missing_or_wrong(page: str) -> None:
    assert "wanted 2" in wanted_text(page, families={"wanted"})


def test_a_family_of_another_name_is_left_out_whole() -> None:
    other = '# TYPE other histogram\nother_bucket{le="1"} 1\nother_sum 1\n'
    wanted = "# TYPE wanted gauge\nwanted 2\n"

    assert wanted_text(other + wanted, families={"wanted"}) == "wanted 2\n"
