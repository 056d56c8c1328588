"""What the commands share: their options, the settings they read, and how they refuse."""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from deployments.output import Format
from policy.settings import Settings
from tasks.settings import load_settings

DEFAULT_CONFIG: Final = Path("config.yaml")
CONFIG_HELP: Final = "YAML file, or mounted ConfigMap; else ./config.yaml, else defaults."

# Panels of `mlo --help`.
RUNNING: Final = "Run"
LOOKING: Final = "Look"
OVERRULING: Final = "Overrule"
REHEARSING: Final = "Rehearse"
CHECKING: Final = "Set up and check"


class Code(IntEnum):
    """How a command ends, for the shell."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    NOT_PASSED = 4


def _or_the_roots(context: typer.Context, given: Path | None) -> Path | None:
    """What the command was given, else what `mlo` was, else ./config.yaml where it exists."""
    chosen = given or context.find_root().params.get("config")
    if chosen is not None:
        return Path(chosen)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", callback=_or_the_roots, help=CONFIG_HELP),
]
OutputOption = Annotated[
    Format,
    typer.Option("--output", "-o", metavar="FORMAT", help="table, json, yaml, csv or markdown."),
]
TenantArgument = Annotated[str | None, typer.Argument(metavar="TENANT", help="Only this tenant.")]


def settings_of(config: Path | None) -> Settings:
    """The settings in force for a command.

    Raises:
        ConfigError: they cannot be used.
    """
    return load_settings(config, environ=os.environ)


def say(line: str) -> None:
    """Tell the person something that is no data: on stderr."""
    typer.echo(line, err=True)
