"""What people are told of Mimir's processes."""

from __future__ import annotations

import polars as pl

from flows.resource_words import SHOWN, resources_section, restart_lines
from policy.resources import RESOURCES

SEEN = pl.DataFrame(
    [
        ("ingester-0", "ingester", "up", 1.0, None),
        ("ingester-0", "ingester", "cpu_cores", 1.5, 4.0),
        ("ingester-0", "ingester", "memory_bytes", 3.0 * 2**30, 8.0 * 2**30),
        ("ingester-0", "ingester", "ingester_max_series", 9e5, 1e6),
        ("ingester-0", "ingester", "restarts", 1.0, None),
        ("http://x:1", None, "up", 0.0, None),
    ],
    schema=RESOURCES,
    orient="row",
)


def test_each_process_has_a_row_and_what_is_not_measured_is_unknown() -> None:
    rows = [line.split(" | ") for line in resources_section(SEEN).splitlines() if "|" in line]
    cells = {row[0].strip("| "): [cell.strip(" |") for cell in row[1:]] for row in rows}

    assert cells["ingester-0"] == [
        "ingester",
        "yes",
        "1.5 of 4 cores",
        "3 of 8 GiB",
        "90% of ingester_max_series",
        "unknown",
        "yes",
    ]
    assert cells["http://x:1"][:4] == ["unknown", "no", "unknown", "unknown"]


def test_only_the_fullest_are_shown() -> None:
    many = pl.DataFrame(
        [(f"p{number}", None, "memory_bytes", float(number), 100.0) for number in range(50)],
        schema=RESOURCES,
        orient="row",
    )

    section = resources_section(many)

    assert "p49 " in section
    assert "p0 " not in section
    assert f"{50 - SHOWN} less full" in section


def test_nothing_known_is_no_section() -> None:
    assert resources_section(SEEN.clear()) == ""


def test_a_restart_is_a_line() -> None:
    assert restart_lines(SEEN) == ["ingester-0 restarted"]
