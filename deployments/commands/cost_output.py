"""Where costs go: to a person, to a program, or into a file; and what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from deployments.commands.options import say
from deployments.cost_exports import PAGE
from deployments.cost_files import KINDS, print_costs, refuse_terminal, write_costs
from deployments.output import Column, Format, show
from policy.cost.focus import VERSION
from policy.errors import ConfigError
from tasks.whole_file import refuse_other_kinds


class Columns(StrEnum):
    """Whose columns an export has."""

    OWN = "own"
    FOCUS = "focus"


class Output(StrEnum):
    """How costs are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    PARQUET = "parquet"
    MARKDOWN = "markdown"


ColumnsOption = Annotated[
    Columns,
    typer.Option(
        "--columns", help=f"focus: by tenant, price and day, in the columns of FOCUS {VERSION}."
    ),
]
OutputOption = Annotated[
    Output,
    typer.Option(
        "--output", "-o", metavar="FORMAT", help="table, json, yaml, csv, parquet or markdown."
    ),
]


def refuse_what_does_not_fit(export: Path | None, output: Output, *, focused: bool) -> None:
    """Refuse a file of no kind, and what only a program can read where a person would get it.

    Raises:
        ConfigError: with the way out.
    """
    if export is not None:
        refuse_other_kinds(export, kinds=[*KINDS, PAGE])
        return
    refuse_terminal(f".{output}")
    if focused and output in {Output.TABLE, Output.MARKDOWN}:
        raise ConfigError(
            "the columns of FOCUS are for programs; write them to a file with "
            "--export costs.parquet, or say -o csv"
        )


def refuse_options(given: Mapping[str, bool], *, where: str) -> None:
    """Refuse the options that were given and have no effect there.

    Raises:
        ConfigError: it names the first.
    """
    if unfit := [name for name, is_given in given.items() if is_given]:
        raise ConfigError(f"{where} cannot be had with {unfit[0]}; leave it out")


def hand_over(
    rows: pl.DataFrame,
    *,
    export: Path | None,
    output: Output,
    columns: Sequence[Column] | None = None,
    table: pl.DataFrame | None = None,
) -> None:
    """Write the rows to the file, or print them."""
    if export is not None:
        write_costs(rows, export)
        say(f"{rows.height:,} rows in {export}")
    elif f".{output}" in KINDS:
        print_costs(rows, f".{output}")
    else:
        show(rows, form=Format(output.value), columns=columns, table=table)
