"""`mlo up`: everything, in the foreground."""

from __future__ import annotations

import os
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
    # A run of `protect` makes two hundred small frames; handing each to a pool of threads costs a
    # fifth of its CPU. Polars reads this at its first work; whoever has large frames may set it.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from deployments.up import run_up  # noqa: PLC0415 - other commands need not wait for it

    raise typer.Exit(run_up(config=config, simulate=simulate))
