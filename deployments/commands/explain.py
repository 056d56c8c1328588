"""`mlo explain`: why the limits of one tenant are what they are."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deployments.commands.options import ConfigOption, OutputOption, settings_of
from deployments.fleet import explained
from deployments.output import Format, show, show_data
from deployments.plain import plain
from deployments.unknown import refuse_unknown
from policy.explain import Explanation, Story, lines
from policy.figures import figure
from storage import reading

Subject = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]


def explain(
    tenant: Subject, config: ConfigOption = None, output: OutputOption = Format.TABLE
) -> None:
    """Say why the limits of one tenant are what they are.

    Shows every layer in order, and the newest decision with its steps.

    The layer marked * has the last word.
    """
    settings = settings_of(config)
    refuse_unknown(tenant, known=reading.known_tenants(settings.storage.url))
    told, voices = explained(
        tenant, settings=settings, where=settings.storage.url, now=datetime.now(UTC)
    )
    match output:
        case Format.JSON | Format.YAML:
            show_data(plain(asdict(told)), form=output)
        case Format.CSV | Format.MARKDOWN:
            show(voices, form=output)
        case Format.TABLE if sys.stdout.isatty():
            show_explanation(told, console=Console())
        case Format.TABLE:
            typer.echo("\n".join(lines(told)))


def show_explanation(told: Explanation, *, console: Console) -> None:
    """Print the explanation within the width of a terminal."""
    if not told.stories:
        console.print(*map(Text, lines(told)))
        return
    console.print(Text(told.tenant, style="bold"))
    for story in told.stories:
        console.print()
        console.print(Text(f"  {story.limit}", style="bold"))
        console.print(Padding(_voices(story), (0, 0, 0, 4)))
        if story.decision is not None:
            decision = story.decision.removeprefix(f"{told.tenant}  {story.limit}  ")
            console.print(Padding(Text(f"newest decision: {decision}"), (0, 0, 0, 4)))
        if story.steps:
            console.print(Padding(_steps(story), (0, 0, 0, 6)))


def _voices(story: Story) -> Table:
    table = _grid()
    for voice in story.voices:
        mark, layer, says, after, reason = voice.cells()
        table.add_row(
            Text(mark),
            Text(layer),
            Text(says),
            Text(f"→ {after}"),
            Text(reason),
            style=_style(mark),
        )
    return table


def _steps(story: Story) -> Table:
    table = _grid()
    for step in story.steps:
        start = "" if step.before is None else f"{figure(step.before)} "
        because = step.because or "no reason was kept"
        table.add_row(Text(step.name), Text(start), Text(f"→ {figure(step.after)}"), Text(because))
    return table


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))


def _style(mark: str) -> str:
    return "bold" if mark else ""
