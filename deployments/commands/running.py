"""`mlo up`: everything, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.commands.options import ConfigOption

SimulateOption = Annotated[
    bool,
    typer.Option("--simulate", help="Bring up a simulated Mimir as well, and publish to that one."),
]


def up(config: ConfigOption = None, *, simulate: SimulateOption = False) -> None:
    """Run the optimizer until Ctrl-C.

    That is: its flows, the Prefect server and the HTTP endpoint.

    In the mode dry-run, the default, nothing is published.
    """
    from deployments.up import run_up  # noqa: PLC0415 - other commands need not wait for it

    raise typer.Exit(run_up(config=config, simulate=simulate))
