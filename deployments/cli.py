"""`mlo`: the commands an operator types.

Data goes to stdout, everything else to stderr. Exit codes: 0 fine, 1 an error, 2 a wrong
command line, 3 changes are pending, 4 a policy does not pass its gate. An error that was raised
on purpose is one line, never a traceback. Nothing here imports Prefect: a command that only looks
must answer at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from deployments.commands.alerts import alert_commands
from deployments.commands.audit import audit
from deployments.commands.backfill import backfill
from deployments.commands.backtest import backtest
from deployments.commands.breaker import breaker_commands
from deployments.commands.budget import budget
from deployments.commands.cardinality import cardinality_of
from deployments.commands.config import config_commands
from deployments.commands.cost import cost
from deployments.commands.diff import diff
from deployments.commands.doctor import doctor
from deployments.commands.drill import drill
from deployments.commands.emergency import emergency
from deployments.commands.explain import explain
from deployments.commands.history import history
from deployments.commands.limits import limits
from deployments.commands.options import (
    CHECKING,
    CONFIG_HELP,
    LOOKING,
    OVERRULING,
    REHEARSING,
    RUNNING,
    Code,
    say,
)
from deployments.commands.pause import pause, resume
from deployments.commands.pins import pin, pins, unpin
from deployments.commands.query_log import query_log
from deployments.commands.recommend import recommend
from deployments.commands.report import report
from deployments.commands.risk import risk
from deployments.commands.rollback import holds, release, rollback
from deployments.commands.running import up
from deployments.commands.savings import savings
from deployments.commands.serve_document import serve_document
from deployments.commands.simulate import simulate_commands
from deployments.commands.snapshot import restore, snapshot
from deployments.commands.sql import sql
from deployments.commands.tenants import tenants
from deployments.commands.whatif import whatif
from deployments.commands.withdraw import withdraw
from policy.errors import OptimizerError

DISTRIBUTION: Final = "mimir-limit-optimizer"


class Commands(TyperGroup):
    """The commands, with our errors told as one line each."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - Typer keeps the type to itself
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except OptimizerError as refusal:
            for line in str(refusal).splitlines():
                say(f"error: {line}")
            raise typer.Exit(Code.ERROR) from refusal


HELP: Final = """
Keep the per-tenant limits of a Grafana Mimir cluster right, and say why.

To try it without a cluster: mlo up --simulate

Exit codes: 0 fine, 1 an error, 2 a wrong command line, 3 changes pending,
4 a policy does not pass.
"""

app = typer.Typer(
    name="mlo",
    help=HELP,
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if asked:
        from importlib.metadata import version as version_of  # noqa: PLC0415 - slow to import

        image = [os.environ.get(f"MIMIR_LIMIT_OPTIMIZER_{of}") for of in ("COMMIT", "BUILD_DATE")]
        built = f" ({', '.join(filter(None, image))})" if any(image) else ""
        typer.echo(f"mlo {version_of(DISTRIBUTION)}{built}")
        raise typer.Exit


@app.callback()
def mlo(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="PATH", envvar="MLO_CONFIG", help=CONFIG_HELP),
    ] = None,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """What is common to all commands."""


app.command(rich_help_panel=RUNNING)(up)
app.command(rich_help_panel=RUNNING)(serve_document)
app.command(rich_help_panel=RUNNING)(backfill)
app.command(rich_help_panel=LOOKING)(tenants)
app.command(rich_help_panel=LOOKING)(recommend)
app.command(rich_help_panel=LOOKING)(risk)
app.command(rich_help_panel=LOOKING)(cost)
app.command(rich_help_panel=LOOKING)(budget)
app.command(rich_help_panel=LOOKING)(savings)
app.command(rich_help_panel=LOOKING)(report)
app.command(rich_help_panel=LOOKING)(explain)
app.command(rich_help_panel=LOOKING)(whatif)
app.command(rich_help_panel=LOOKING)(backtest)
app.command(rich_help_panel=LOOKING)(diff)
app.command(rich_help_panel=LOOKING)(history)
app.command(rich_help_panel=LOOKING)(emergency)
app.command(rich_help_panel=LOOKING)(audit)
app.command(rich_help_panel=LOOKING)(limits)
app.command("cardinality", rich_help_panel=LOOKING)(cardinality_of)
app.command(rich_help_panel=LOOKING)(query_log)
app.command(rich_help_panel=LOOKING)(sql)
app.command(rich_help_panel=OVERRULING)(pin)
app.command(rich_help_panel=OVERRULING)(unpin)
app.command(rich_help_panel=OVERRULING)(pins)
app.command(rich_help_panel=OVERRULING)(rollback)
app.command(rich_help_panel=OVERRULING)(release)
app.command(rich_help_panel=OVERRULING)(holds)
app.command(rich_help_panel=OVERRULING)(pause)
app.command(rich_help_panel=OVERRULING)(withdraw)
app.command(rich_help_panel=OVERRULING)(resume)
app.add_typer(breaker_commands, name="breaker", rich_help_panel=OVERRULING)
app.add_typer(alert_commands, name="alerts", rich_help_panel=OVERRULING)
app.command(rich_help_panel=REHEARSING)(drill)
app.add_typer(simulate_commands, name="simulate", rich_help_panel=REHEARSING)
app.command(rich_help_panel=CHECKING)(doctor)
app.add_typer(config_commands, name="config", rich_help_panel=CHECKING)
app.command(rich_help_panel=CHECKING)(snapshot)
app.command(rich_help_panel=CHECKING)(restore)


def run() -> None:
    """Run the command of the command line."""
    try:
        app()
    finally:
        _flush_quietly()


def _flush_quietly() -> None:
    """Whoever reads us may have gone away, as `head` does; that is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
