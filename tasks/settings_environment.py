"""Settings as the environment holds them.

`MODE`, `MIMIR_NAMESPACE`, `MIMIR_CONFIGMAP_NAME`, `UPDATE_INTERVAL` and `BUFFER_PERCENTAGE` have
names of their own. Every other key is `MLO_` and its path, `__` between the parts:
`MLO_SERVER__PORT=8081`. With `_FILE` at the end the value is the content of the named file, which
is how secrets come. Empty variables count as not set. A list is comma-separated; a list or a map
may also be written as YAML in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy.settings import Settings
from policy.settings.schema import PLAIN, Shape, located
from tasks.settings_files import parse_yaml, read_text

PREFIX: Final = "MLO_"

_NAMED: Final = {
    "MODE": "mode",
    "MIMIR_NAMESPACE": "mimir.namespace",
    "MIMIR_CONFIGMAP_NAME": "mimir.configMapName",
    "UPDATE_INTERVAL": "updateInterval",
    "BUFFER_PERCENTAGE": "bufferPercentage",
}
# MLO_CONFIG names the file itself, MLO_STORAGE_TOKEN and MLO_STORAGE_TLS are how a served history
# is reached. The others Kubernetes sets by itself in every pod beside a Service named `mlo`.
_NOT_OURS: Final = re.compile(
    r"MLO_(CONFIG|STORAGE_(TOKEN|TLS)|SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one source writes: a tree of settings, the source's name, and its YAML if it is one."""

    origin: str
    tree: Mapping[str, object]
    text: str | None = None


def from_environment(environ: Mapping[str, str]) -> Iterator[Written]:
    """What each variable writes, weakest first: the named ones, then `MLO_…` sorted.

    Raises:
        ConfigError: a `_FILE` variable names a file that cannot be read.
    """
    for variable, key in _NAMED.items():
        if text := environ.get(variable, "").strip():
            yield written(f"environment {variable}", key.split("."), text)
    for variable in _ours(environ):
        parts, names_file = _parts(variable)
        text = environ[variable].strip()
        value = read_text(Path(text)).strip() if names_file else text
        yield written(f"environment {variable}", parts, value)


def secret_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files that `_FILE` variables name."""
    for variable in _ours(environ):
        if _parts(variable)[1]:
            yield Path(environ[variable].strip())


def written(origin: str, parts: Sequence[str], value: object) -> Written:
    """What a source writes that sets one dotted key.

    Text becomes a list or a map where the key holds one. An unknown key is kept as it is, for
    the validation to name it.

    Raises:
        ConfigError: the text begins like a list or a map and is none.
    """
    path, shape = located(Settings, parts) or (tuple(parts), PLAIN)
    held: object = _typed(value, shape=shape, origin=origin) if isinstance(value, str) else value
    for step in reversed(path):
        held = {step: held}
    return Written(origin=origin, tree=held if isinstance(held, Mapping) else {})


def _ours(environ: Mapping[str, str]) -> list[str]:
    return sorted(
        name
        for name, text in environ.items()
        if name.startswith(PREFIX) and not _NOT_OURS.fullmatch(name) and text.strip()
    )


def _parts(variable: str) -> tuple[list[str], bool]:
    """The parts of the key that a variable sets, and whether its value names a file."""
    written_parts = variable.removeprefix(PREFIX).split("__")
    # Names in maps keep their case when it is mixed: that is the only way to write it.
    parts = [part.lower() if part.isupper() else part for part in written_parts]
    without = [*parts[:-1], parts[-1].removesuffix("_file")]
    whole, rest = located(Settings, parts), located(Settings, without)
    in_map = whole is not None and whole[0][-1] == parts[-1]
    return (
        (without, True) if without != parts and rest and (not whole or in_map) else (parts, False)
    )


def _typed(text: str, *, shape: Shape, origin: str) -> object:
    if shape == PLAIN:
        return text
    if text.startswith(("[", "{")):
        return parse_yaml(text, where=origin)
    if shape.container == "list":
        return [item.strip() for item in text.split(",") if item.strip()]
    return text
