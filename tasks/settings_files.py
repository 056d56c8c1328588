"""Settings as files hold them: one YAML document, or a folder with it and dotted-key files.

A folder is what a mounted ConfigMap looks like: `config.yaml`, beside it files named like
`circuitBreaker.runtimeEnabled` whose content is the value, and entries of Kubernetes' own
(`..data`), which are not read. Refused: a key written twice, a second document, a file that is
no map. What a file holds is never repeated in an error, because it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from policy.errors import ConfigError

MAIN_FILE: Final = "config.yaml"

Signature = tuple[tuple[str, int, int, int, int], ...]

_QUOTED: Final = re.compile(r"""(["']).{2,}?\1""", re.DOTALL)
_DUPLICATE: Final = re.compile(r'found duplicate key "(.*?)" with value', re.DOTALL)


def read_tree(text: str, *, where: str) -> Mapping[str, object]:
    """The map that the YAML of a file holds; an empty file is an empty map.

    Raises:
        ConfigError: it is not one YAML map.
    """
    tree = parse_yaml(text, where=where)
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: must be a map of keys and values")
    return tree


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: there is no such file, or it cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; name another, or none to run with the defaults"
        ) from None
    except OSError as refusal:
        raise ConfigError(f"{path}: cannot be read: {refusal.strerror}") from refusal
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not text in UTF-8") from None


def parse_yaml(text: str, *, where: str) -> object:
    """The plain value of one YAML document.

    Raises:
        ConfigError: the text is not one YAML document; `where` and the line are named.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as refusal:
        fault = _fault(refusal)
    # Raised outside the handler: a chained YAML error would print the lines around the fault.
    raise ConfigError(f"{where}{fault}")


def dotted_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The dotted keys that files of a folder stand for, sorted, each with its file.

    Raises:
        ConfigError: the folder cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as refusal:
        raise ConfigError(f"{folder}: cannot be listed: {refusal.strerror}") from refusal
    for entry in entries:
        if not entry.name.startswith(".") and entry.name != MAIN_FILE and entry.is_file():
            yield entry.name, entry


def signature(paths: Iterator[Path]) -> Signature:
    """What changes when one of the files, or a file of one of the folders, does."""
    files = (file for path in paths for file in _with_entries(path))
    return tuple(_stat(file) for file in files)


def _with_entries(path: Path) -> Iterator[Path]:
    yield path
    try:
        yield from sorted(path.iterdir())
    except OSError:
        return  # a file, or gone: its own stat says which


def _stat(path: Path) -> tuple[str, int, int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the links of a mounted ConfigMap
    except OSError:
        return str(path), 0, 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _fault(refusal: YAMLError) -> str:
    if not isinstance(refusal, MarkedYAMLError):
        return ": holds a character that YAML does not allow"
    mark = refusal.problem_mark or refusal.context_mark
    line = f" line {mark.line + 1}" if mark is not None else ""
    problem = refusal.problem or "is not YAML"
    if isinstance(refusal, DuplicateKeyError) and (match := _DUPLICATE.match(problem)):
        return f"{line}: key {match[1]} is written twice; keep one"
    if isinstance(refusal, ComposerError) and "document" in (refusal.context or ""):
        return f"{line}: a second document begins; keep one"
    return f"{line}: {_QUOTED.sub('a value', problem)}"
