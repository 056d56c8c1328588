"""From a tree of plain values to settings, or to every fault in it, one line each.

A fault names its key in full and says what is wrong with it. It never repeats a value that
could be a secret, and it is never a dump of the validator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError

from policy.errors import ConfigError
from policy.settings.root import Settings
from policy.settings.schema import respelled, section_at
from policy.settings.section import Section, aliases, fold, spellings
from policy.settings.values import Faults

_SENTENCES: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "dict_type": "must be a map of keys and values",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "invalid_key": "is a key that is not text; put it in quotes",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be a map of keys and values",
    "path_type": "must be a path",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it in quotes",
    "time_delta_type": "must be a duration; write it like 15s, 5m or 1h30m",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "literal_error": ("must be", "expected"),
    "string_pattern_mismatch": ("must match", "pattern"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: the dotted key (empty for the whole), and what is wrong with it."""

    key: str
    fault: str

    def __str__(self) -> str:
        """The fault as one line."""
        return f"{self.key}: {self.fault}" if self.key else self.fault


class SettingsError(ConfigError):
    """The settings cannot be used; every fault is listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def parse_settings(tree: Mapping[str, object]) -> Settings:
    """The settings that a tree of plain values describes, in any accepted spelling.

    Raises:
        SettingsError: at least one key is unknown or holds what it must not.
    """
    respelled_tree = respelled(Settings, tree)
    try:
        return Settings.model_validate(respelled_tree)
    except ValidationError as refusal:
        found = [
            problem for error in refusal.errors() for problem in _problems(error, respelled_tree)
        ]
    # Raised outside the handler: a chained ValidationError would print what was written.
    raise SettingsError(sorted(found, key=lambda problem: problem.key))


def _problems(error: Any, tree: object) -> Iterator[Problem]:  # noqa: ANN401 - pydantic's own dict
    path: tuple[str | int, ...] = error["loc"]
    fault = error.get("ctx", {}).get("error")
    if path[-1:] == ("[key]",):
        name = path[-2]
        yield Problem(key=_dotted(path[:-2]), fault=f"the name {name} is not text; quote it")
    elif isinstance(fault, Faults):
        for key, sentence in fault.faults.items():
            yield Problem(key=".".join(filter(None, (_dotted(path), key))), fault=sentence)
    else:
        yield Problem(key=_dotted(path), fault=_sentence(error, path, tree))


def _sentence(error: Any, path: tuple[str | int, ...], tree: object) -> str:  # noqa: ANN401
    kind: str = error["type"]
    if kind == "extra_forbidden":
        return _unknown(path, tree)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        limit = error["ctx"][bound]
        return f"{words} {limit:g}" if isinstance(limit, float) else f"{words} {limit}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    return _SENTENCES.get(kind, "is not valid here")


def _unknown(path: tuple[str | int, ...], tree: object) -> str:
    """That the key is unknown, with the nearest key of its section that is not yet written."""
    section = section_at(Settings, path[:-1])
    known = spellings(section) if section is not None else {}
    written = _written(tree, path[:-1])
    near = get_close_matches(
        fold(str(path[-1])), [key for key in known if known[key] not in written], n=1
    )
    if near:
        return f"unknown key; did you mean {known[near[0]]}?"
    if section is not None and len(path) > 1:
        return f"unknown key; known here: {_known_keys(section)}"
    return "unknown key"


def _known_keys(section: type[Section]) -> str:
    return ", ".join(aliases(section).values())


def _written(tree: object, path: Sequence[str | int]) -> frozenset[str]:
    for step in path:
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, list) and isinstance(step, int):
            tree = tree[step]
    return frozenset(map(str, tree)) if isinstance(tree, Mapping) else frozenset()


def _dotted(path: Sequence[str | int]) -> str:
    """The path as an operator writes it: `alerting.routing[0].channels`."""
    dotted = ""
    for step in path:
        if isinstance(step, int) and dotted:
            dotted += f"[{step}]"
        else:
            dotted += f".{step}" if dotted else str(step)
    return dotted
