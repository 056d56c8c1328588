"""`mlo config`: the settings in force, and whether they can be used. Secrets are never shown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show, show_data
from policy.settings import Settings
from policy.settings.futile import NEVER, values_in_vain
from policy.settings.pending import is_without_effect, set_without_effect
from policy.settings.schema import located
from tasks.settings import origins

SET_KEYS: Final = pl.Schema(
    {"key": pl.String(), "value": pl.String(), "origin": pl.String(), "effect": pl.String()}
)
COLUMNS: Final = (
    Column(name="key", heading="key"),
    Column(name="value", heading="value", missing="", wraps=True),
    Column(name="origin", heading="set by", wraps=True),
    Column(name="effect", heading="", missing=""),
)
NO_EFFECT: Final = "no effect yet"
NEVER_AN_EFFECT: Final = "no effect"

config_commands = typer.Typer(no_args_is_help=True, help="Show and check the settings.")

PathArgument = Annotated[
    Path | None, typer.Argument(metavar="PATH", help="What to check instead of --config.")
]


@config_commands.command("show")
def show_config(config: ConfigOption = None, output: OutputOption = Format.YAML) -> None:
    """Print the settings in force, secrets masked.

    YAML and JSON hold every setting; the other formats list only those that were set, and where.
    """
    settings = settings_of(config)
    if output in {Format.YAML, Format.JSON}:
        show_data(settings.masked(), form=output)
        return
    found = set_keys(settings, origin_by_key=origins(config, environ=os.environ))
    if found.is_empty():
        say("nothing is set: every setting has its default")
    show(found, form=output, columns=COLUMNS)


@config_commands.command()
def validate(path: PathArgument = None, config: ConfigOption = None) -> None:
    """Check the settings: one line per fault, exit code 1 if any."""
    chosen = path or config
    settings = settings_of(chosen)
    for key in set_without_effect(settings):
        say(f"warning: {key}: {NEVER.get(key, 'nothing reads this setting yet')}")
    for line in values_in_vain(settings):
        say(f"warning: {line}")
    typer.echo(f"{chosen or 'the defaults'}: can be used; the mode is {settings.mode}")


def set_keys(settings: Settings, *, origin_by_key: Mapping[str, str]) -> pl.DataFrame:
    """The keys that were set, sorted, with their values, where they were set, and their effect.

    Returns:
        Columns key, value, origin, effect; secrets are masked, `effect` is null where it has one.
    """
    tree = settings.masked()
    rows = [
        (key, _shown(_at(tree, key)), origin, _effect(key))
        for key, origin in sorted(origin_by_key.items())
    ]
    return pl.DataFrame(rows, schema=SET_KEYS, orient="row")


def _effect(key: str) -> str | None:
    if key in NEVER:
        return NEVER_AN_EFFECT
    return NO_EFFECT if is_without_effect(key) else None


def _at(tree: object, key: str) -> object:
    """The value at a dotted key, whose names in maps may hold dots themselves."""
    found = located(Settings, key.split("."))
    for step in found[0] if found else ():
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
