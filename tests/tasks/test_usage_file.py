"""Usage from a file: what is right is read, and one wrong row refuses the whole file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.cost.usage import IMPORTED
from policy.errors import ConfigError
from policy.signals import ACTIVE_SERIES, SAMPLES_RECEIVED
from tasks.usage_file import read_usage

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HEAD = "at,tenant,signal,mean,covered_seconds"
GOOD = f"2026-11-01T12:00:00Z,a,{SAMPLES_RECEIVED},10.5,3600"


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "usage.csv"
    path.write_text("\n".join([*lines, ""]))
    return path


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    lines = (
        "tenant,at,mean,signal,comment",
        f"a,2026-11-01T13:00:00+01:00,10.5,{SAMPLES_RECEIVED},an hour ahead of UTC",
        f"a,2026-11-01T12:00,3,{ACTIVE_SERIES},no offset is UTC",
        f'"b, c",2026-11-01,0,{ACTIVE_SERIES},midnight',
    )

    found = read_usage(csv(tmp_path, *lines))

    assert found.rows.schema == IMPORTED
    assert found.rows.rows() == [
        (NOON - timedelta(hours=12), "b, c", ACTIVE_SERIES, 0.0, 3600.0),
        (NOON, "a", ACTIVE_SERIES, 3.0, 3600.0),
        (NOON, "a", SAMPLES_RECEIVED, 10.5, 3600.0),
    ]


async def test_a_parquet_file_is_read_day_by_day(tmp_path: Path) -> None:
    """Its times may be without a zone, which is UTC, and its numbers whole."""
    path = tmp_path / "usage.parquet"
    pl.DataFrame(
        {
            "at": [datetime(2026, 11, 1, 12), datetime(2026, 11, 3, 0)],  # noqa: DTZ001 - as files have them
            "tenant": ["a", "a"],
            "signal": [ACTIVE_SERIES, ACTIVE_SERIES],
            "mean": [5, 6],
            "covered_seconds": [1800, 3600],
        }
    ).write_parquet(path)

    found = read_usage(path)

    assert [day.start.day for day in found.days] == [1, 3]
    first = await found.day(found.days[0])
    assert first.hours.rows() == [(NOON, "a", ACTIVE_SERIES, 5.0, 1800.0)]
    assert (first.hours_missing, first.tenant_hours_missing) == (23, 0)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"yesterday,a,{ACTIVE_SERIES},1,3600", "column at: 'yesterday' is no time"),
        (f"2026-11-01T12:30:00Z,a,{ACTIVE_SERIES},1,3600", "column at: .* whole hour"),
        (f"2026-11-01T12:00:00Z,,{ACTIVE_SERIES},1,3600", "column tenant: is empty"),
        ("2026-11-01T12:00:00Z,a,series,1,3600", "column signal: 'series' is none of .*active"),
        (f"2026-11-01T12:00:00Z,a,{ACTIVE_SERIES},NaN,3600", "column mean: 'NaN' is no number"),
        (f"2026-11-01T12:00:00Z,a,{ACTIVE_SERIES},-1,3600", "column mean: '-1' is no number"),
        (f"2026-11-01T12:00:00Z,a,{ACTIVE_SERIES},,3600", "column mean: is no number"),
        (f"2026-11-01T12:00:00Z,a,{ACTIVE_SERIES},1,3601", "column covered_seconds: '3601' is"),
        (f"2026-11-01T12:00:00Z,a,{ACTIVE_SERIES},1,0", "column covered_seconds: '0' is"),
        (f"2026-11-01T13:00:00+01:00,a,{SAMPLES_RECEIVED},1,3600", "column signal: .* before"),
    ],
)
def test_a_wrong_row_is_named_by_line_and_column(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(ConfigError, match=rf"usage\.csv, line 3, {says}.*; nothing is imported"):
        read_usage(csv(tmp_path, HEAD, GOOD, row))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("at,tenant,mean", "2026-11-01,a,1"), "has no column signal; its columns are at, tenant"),
        ((HEAD,), "has no rows"),
        ((), "cannot be read"),
        ((HEAD, "a,b,c,d,e,f,g"), "cannot be read"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_usage(csv(tmp_path, *lines))


@pytest.mark.parametrize(
    ("name", "says"),
    [("absent.csv", "No such file"), ("usage.xlsx", r"\.csv or \.parquet"), ("p.parquet", "read")],
)
def test_another_kind_or_no_file_is_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "p.parquet").write_text("no parquet")

    with pytest.raises(ConfigError, match=says) as refusal:
        read_usage(tmp_path / name)

    assert "\n" not in str(refusal.value)
