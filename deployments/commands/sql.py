"""`mlo sql`: ask the history a question."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from storage.client import query

Question = Annotated[
    str | None,
    typer.Argument(metavar="SQL", help="The statement; without one it is read from stdin."),
]
WriteOption = Annotated[
    bool, typer.Option("--write", help="Allow a statement that changes the history.")
]


def sql(
    question: Question = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    write: WriteOption = False,
) -> None:
    """Ask the history a question in SQL.

    The running process is asked when there is one, and the file is opened when there is none.

    What there is: mlo sql "select view_name, comment from duckdb_views() where not internal"
    """
    if question is None:
        if sys.stdin.isatty():
            raise typer.BadParameter(
                'give a statement, as in mlo sql "from v_decisions", or one on stdin',
                param_hint="SQL",
            )
        question = sys.stdin.read()
    answer = query(settings_of(config).storage.url, question, write=write)
    if answer.is_empty():
        say("no rows")
    if answer.width:
        columns = [
            Column(name=name, heading=name, missing="null", wraps=True) for name in answer.columns
        ]
        show(answer, form=output, columns=columns)
