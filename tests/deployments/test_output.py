"""How a frame is shown to a person and to a program."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest
from rich.console import Console
from ruamel.yaml import YAML

from deployments.output import Column, Format, show

AT = datetime(2026, 3, 4, 13, 0, 5, tzinfo=timezone(timedelta(hours=1)))
FRAME = pl.DataFrame(
    {
        "tenant": ["acme", "b|c"],
        "rate": [12_345.0, None],
        "at": [AT, None],
        "steps": [[{"name": "peak"}], None],
        "price": [Decimal("0.25"), Decimal(3)],
    },
    schema_overrides={"at": pl.Datetime("us", "UTC")},
)
COLUMNS = (
    Column(name="tenant", heading="tenant"),
    Column(name="rate", heading="samples/s"),
    Column(name="at", heading="at", missing="never"),
)
LONG = pl.DataFrame(
    {"tenant": ["acme"], "limit": ["max_global_series_per_user"], "why": ["for a reason " * 12]}
)
LONG_COLUMNS = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="why", heading="why", wraps=True),
)


def printed(capsys: pytest.CaptureFixture[str], frame: pl.DataFrame, **how: object) -> str:
    show(frame, **how)  # type: ignore[arg-type]
    return capsys.readouterr().out


def on_screen(frame: pl.DataFrame, *, width: int, **how: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(frame, form=Format.TABLE, console=console, **how)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_off_a_terminal_has_one_plain_line_per_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = printed(capsys, FRAME, form=Format.TABLE, columns=COLUMNS)

    assert [line.split() for line in shown.splitlines()] == [
        ["tenant", "samples/s", "at"],
        ["acme", "12,345", "2026-03-04", "12:00:05"],
        ["b|c", "unknown", "never"],
    ]
    assert "\x1b" not in shown


def test_a_table_off_a_terminal_is_never_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    shown = printed(capsys, LONG, form=Format.TABLE, columns=LONG_COLUMNS)

    assert len(shown.splitlines()) == 1 + LONG.height


def test_numbers_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"value": [1.0, 1_000_000.0]})

    lines = printed(capsys, frame, form=Format.TABLE).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith(" 1")


def test_json_is_a_list_of_objects_with_numbers_and_iso_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = json.loads(printed(capsys, FRAME, form=Format.JSON, columns=COLUMNS))

    assert first == {
        "tenant": "acme",
        "rate": 12_345.0,
        "at": "2026-03-04T12:00:05+00:00",
        "steps": [{"name": "peak"}],
        "price": 0.25,
    }
    assert second["rate"] is None
    assert second["at"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "infinity"])
@pytest.mark.parametrize("form", [Format.JSON, Format.YAML])
def test_what_is_no_finite_number_is_null(
    capsys: pytest.CaptureFixture[str], value: float, form: Format
) -> None:
    shown = printed(capsys, pl.DataFrame({"value": [value]}), form=form)

    assert YAML(typ="safe").load(shown) == [{"value": None}]


def test_yaml_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    as_json = json.loads(printed(capsys, FRAME, form=Format.JSON))
    as_yaml = YAML(typ="safe").load(printed(capsys, FRAME, form=Format.YAML))

    assert as_yaml == as_json
    assert list(as_yaml[0]) == FRAME.columns


def test_csv_has_every_column_and_nested_values_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, FRAME, form=Format.CSV, columns=COLUMNS)
    first, second = csv.DictReader(io.StringIO(text))

    assert first["at"] == "2026-03-04T12:00:05+00:00"
    assert json.loads(first["steps"]) == [{"name": "peak"}]
    assert float(first["rate"]) == 12_345
    assert second["rate"] == ""


def test_markdown_escapes_what_would_end_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    head, rule, *rows = printed(capsys, FRAME, form=Format.MARKDOWN, columns=COLUMNS).splitlines()

    assert head == "| tenant | samples/s | at |"
    assert rule == "| --- | ---: | --- |"
    assert rows[1] == r"| b\|c | unknown | never |"


@pytest.mark.parametrize("form", [Format.TABLE, Format.MARKDOWN])
def test_a_value_cannot_break_its_line_or_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], form: Format
) -> None:
    frame = pl.DataFrame({"said": ["two\nlines \x1b[2J"], "more": ["x"]})

    shown = printed(capsys, frame, form=form)

    assert "two lines  [2J" in shown
    assert "\x1b" not in shown


def test_a_list_without_rows_is_nothing_to_read_and_an_empty_list_to_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(capsys, FRAME.clear(), form=Format.TABLE) == ""
    assert json.loads(printed(capsys, FRAME.clear(), form=Format.JSON)) == []


def test_a_wide_terminal_wraps_only_the_column_that_may() -> None:
    lines = on_screen(LONG, width=120, columns=LONG_COLUMNS)

    assert lines[1].startswith("acme    max_global_series_per_user  for a reason")
    assert all(line.startswith(" ") for line in lines[2:])
    assert max(map(len, lines)) <= 120


def test_a_narrow_terminal_puts_the_long_text_below_its_row() -> None:
    lines = on_screen(LONG, width=50, columns=LONG_COLUMNS)

    assert lines[1] == "acme    max_global_series_per_user"
    assert all(line.startswith("    ") for line in lines[2:])
    assert " ".join(" ".join(lines[2:]).split()) == LONG["why"][0].strip()


def test_nothing_is_cut_off_however_narrow_the_terminal_is() -> None:
    lines = on_screen(LONG, width=20, columns=LONG_COLUMNS)

    assert max(map(len, lines)) <= 20
    letters = sorted("".join("".join(lines).split()))
    expected = sorted("".join((*LONG.columns, *LONG.row(0))).replace(" ", ""))
    assert letters == expected


def test_rows_of_unknown_columns_become_lists_where_they_do_not_fit() -> None:
    lines = on_screen(LONG, width=60)

    assert lines[0] == "tenant  acme"
    assert lines[1] == "limit   max_global_series_per_user"


def test_square_brackets_are_text_and_no_markup() -> None:
    lines = on_screen(pl.DataFrame({"stack": ["[bold]set[/bold]"]}), width=80)

    assert lines[1] == "[bold]set[/bold]"


def test_a_time_without_a_zone_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC).replace(tzinfo=None)

    shown = printed(capsys, pl.DataFrame({"at": [noon]}), form=Format.TABLE)

    assert shown.splitlines()[1] == "2026-03-04 12:00:00"
