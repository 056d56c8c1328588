"""`mlo doctor`: look at everything that is needed, and say how to mend what is not right."""

from __future__ import annotations

import asyncio
import os

import typer

from deployments.commands.options import Code, ConfigOption, OutputOption
from deployments.output import Format


def doctor(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Check everything that is needed, and say how to mend it.

    Looks at versions, settings, history, sink, every Mimir process, ports and alert channels.

    Nothing is changed. Exit code 1 when a check failed.
    """
    from deployments.doctor import examine, show_checks  # noqa: PLC0415 - slow to import

    checks = asyncio.run(examine(config, environ=os.environ))
    show_checks(checks, form=output)
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(Code.ERROR)
