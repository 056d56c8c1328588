"""docs/settings.md: every key with its type, bounds, default, variable and meaning.

All but the meaning comes from the models of `policy/settings`. The meaning is the row of the key in
docs/configuration.md, so that it is said in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, AwareDatetime, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from policy.settings import Settings
from policy.settings.masking import plain
from policy.settings.pending import is_without_effect
from policy.settings.schema import shapes
from policy.settings.section import Section, aliases

BEGINNING: Final = """\
# Every setting

Made from the models in `policy/settings` by `make reference`; a test holds this page to them.
[Configuration](configuration.md) explains them in their places, and how files, variables and
secrets are written. A `*` in a key, `NAME` in its variable, is a name that you choose, or each
place of a list. What stands in a list has no variable of its own: that of the list takes all of it,
as YAML in brackets.

"""
# The variables that have names of their own.
NAMED: Final = {
    "mode": "MODE",
    "updateInterval": "UPDATE_INTERVAL",
    "bufferPercentage": "BUFFER_PERCENTAGE",
    "mimir.namespace": "MIMIR_NAMESPACE",
    "mimir.configMapName": "MIMIR_CONFIGMAP_NAME",
}
KINDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Decimal: "amount",
    timedelta: "duration",
    date: "date",
    time: "time of day",
    datetime: "moment with its zone",
    AwareDatetime: "moment with its zone",
    Path: "path",
    ByteSize: "size",
    SecretStr: "secret",
}
# What a validator of `policy.settings` asks for, by the name of its function; empty: it only
# changes how a value is written, or its meaning says what is asked for.
ASKED: Final[Mapping[str, str]] = {
    "<lambda>": "",
    "_by_priority": "",
    "_canonical": "",
    "_spans_apart": "",
    "_enough_to_work_in": "at least 64MiB",
    "_interval": "at least 1s",
    "_label": "name of a label",
    "_lasting": "above 0s",
    "_matchers": "label matchers",
    "_release": "a release",
    "_scheduler": "address of a Dask scheduler",
    "_signal": "a signal",
    "_something": "above 0",
    "_whole_day": "at least 1d",
    "_without_api": "without /api/v1",
    "_worthwhile": "at least 1MiB",
    "base_url": "http or https address",
    "branch_name": "name that Git takes",
    "endpoint": "http or https address",
    "inside": "path inside the repository",
    "known_zone": "time zone",
    "not_empty": "not empty",
    "token": "16 or more visible ASCII characters",
}
BOUNDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
ROW: Final = re.compile(r"^\| `([^`]+)` \| .+? \| (.+) \| [^|]+ \|$", re.MULTILINE)


def meanings(page: str) -> dict[str, str]:
    """What the tables of docs/configuration.md say of each key, their links made to lead there."""
    return {key: re.sub(r"\]\(#", "](configuration.md#", said) for key, said in ROW.findall(page)}


def page(said: Mapping[str, str]) -> str:
    """The whole page; `said` is the meaning of each key.

    Raises:
        LookupError: a key has an effect and no meaning, or a type that has no word here.
    """
    top, *sections = _tables(Settings, prefix="", said=said)
    return BEGINNING + "\n".join(["## Top level\n\n" + top, *sections])


def _tables(section: type[Section], *, prefix: str, said: Mapping[str, str]) -> Iterator[str]:
    """A table of the plain keys of the section, then those of each section that it holds."""
    held = shapes(section)
    rows = [
        _row(f"{prefix}{alias}", section.model_fields[name], said=said)
        for name, alias in aliases(section).items()
        if held[alias].section is None
    ]
    title = f"## `{prefix.removesuffix('.')}`\n\n{_sentence(section)}\n\n" if prefix else ""
    head = "| key, variable | value | default | meaning |\n|---|---|---|---|\n"
    yield title + (head + "".join(rows) if rows else "")
    for alias, shape in held.items():
        if shape.section is not None:
            star = "" if shape.container == "one" else ".*"
            yield from _tables(shape.section, prefix=f"{prefix}{alias}{star}.", said=said)


def _row(key: str, field: FieldInfo, *, said: Mapping[str, str]) -> str:
    if key not in said and not is_without_effect(key):
        raise LookupError(f"{key}: docs/configuration.md has no row that says what it does")
    kind = _kind(field.annotation, list(field.metadata))
    default = _default(field)
    meaning = said.get(key, "has no effect")
    named = f"`{key}`<br>`{variable(key)}`" if variable(key) else f"`{key}`"
    return f"| {named} | {kind} | {default} | {meaning} |\n"


def variable(key: str) -> str:
    """The environment variable of a key; empty for what is in a list."""
    if key in NAMED:
        return NAMED[key]
    if ".*" in key and key.split(".*", 1)[0] in _lists(Settings):
        return ""
    parts = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).upper() for part in key.split(".")]
    return f"MLO_{'__'.join(parts)}".replace("*", "NAME")


def _lists(section: type[Section], prefix: str = "") -> set[str]:
    """Dotted keys that hold a list of sections."""
    found: set[str] = set()
    for alias, shape in shapes(section).items():
        if shape.section is not None and shape.container == "list":
            found.add(f"{prefix}{alias}")
        elif shape.section is not None and shape.container == "one":
            found |= _lists(shape.section, f"{prefix}{alias}.")
    return found


def _sentence(section: type[Section]) -> str:
    return re.sub(r"\s+", " ", (section.__doc__ or "").split("\n\n")[0]).strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be written"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ((), {}):
        return "none"
    told = plain(value)
    if isinstance(told, bool):
        return f"`{str(told).lower()}`"
    if isinstance(told, list):
        return ", ".join(f"`{_written(item)}`" for item in told)
    if isinstance(told, dict):
        return ", ".join(f"`{item}: {_written(held)}`" for item, held in told.items())
    return f"`{_written(told)}`"


def _written(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _kind(annotation: object, metadata: list[Any]) -> str:
    """In words: `number, at least 0, at most 100`.

    Raises:
        LookupError: a type that has no word here.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0], [*args[1:], *metadata])
    if origin in {Union, UnionType}:
        return _kind(next(arg for arg in args if arg is not NoneType), metadata)
    if origin is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    if origin is tuple:
        each = _kind(args[0], []).removesuffix(", not empty")
        return ", ".join([f"list of {each}", *_bounds(metadata)])
    if origin is dict:
        return f"map to {_kind(args[1], [])}"
    if annotation not in KINDS:
        raise LookupError(f"{annotation}: a type of settings without a word for it")
    # Of two bounds of a kind, the later one is the narrower.
    bounds = list({each.rpartition(" ")[0]: each for each in _bounds(metadata)}.values())
    # `address` says more than `text`.
    plain_text = annotation is str and not set(bounds) <= {"not empty"}
    return ", ".join(bounds if plain_text else [KINDS[annotation], *bounds])


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for constraint in metadata:
        if isinstance(constraint, FieldInfo):
            yield from _bounds(constraint.metadata)
            continue
        for name, words in BOUNDS.items():
            if (bound := getattr(constraint, name, None)) is not None:
                yield f"{words} {bound}"
        if getattr(constraint, "min_length", None):
            yield "not empty"
        if pattern := getattr(constraint, "pattern", None):
            yield f"text that matches `{pattern}`"
        if isinstance(constraint, AfterValidator):
            name = constraint.func.__name__
            if name not in ASKED:
                raise LookupError(f"{name}: say in ASKED of docs/settings_page.py what it asks for")
            if ASKED[name]:
                yield ASKED[name]
