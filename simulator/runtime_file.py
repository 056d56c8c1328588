"""Read Mimir's runtime files as strictly as Mimir does: one mistake rejects them all.

What Mimir accepts is accepted too, wise or not: a negative rate, a fraction for a whole
number (cut off), and an empty file, which drops every override.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from simulator.errors import RuntimeFileError
from simulator.limits import DEFAULTS, KINDS, Kind, Value

Tree = dict[str, object]

_TOP_LEVEL: Final = ("overrides", "ingester_limits", "distributor_limits", "multi_kv_config")
_INSTANCE_LIMITS: Final[dict[str, dict[str, Kind]]] = {
    "ingester_limits": {
        "max_ingestion_rate": "float",
        "max_tenants": "int",
        "max_series": "int",
        "max_inflight_push_requests": "int",
        "max_inflight_push_requests_bytes": "int",
    },
    "distributor_limits": {
        "max_ingestion_rate": "float",
        "max_inflight_push_requests": "int",
        "max_inflight_push_requests_bytes": "int",
    },
    "multi_kv_config": {"primary": "string", "mirror_enabled": "bool"},
}
_DURATION: Final = re.compile(
    r"0|(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Runtime files that parsed, merged left to right.

    Attributes:
        overrides: limits by tenant, only those that are written.
        instance_limits: by component section, only those that are written.
        sha256: of the merged configuration, not of the bytes of any file.
    """

    overrides: dict[str, dict[str, Value]]
    instance_limits: dict[str, dict[str, Value]]
    sha256: str

    def effective(self, tenant: str) -> dict[str, Value]:
        """Every limit of the tenant: its overrides over the defaults."""
        return DEFAULTS | self.overrides.get(tenant, {})

    def number(self, tenant: str, limit: str) -> float:
        """One numeric limit of the tenant."""
        own = self.overrides.get(tenant, {})
        value = own[limit] if limit in own else DEFAULTS[limit]
        return float(value) if isinstance(value, int | float) else math.inf


@functools.lru_cache(maxsize=16)
def load(texts: tuple[str, ...]) -> Loaded:
    """Parse, merge and check the files' texts, given in the order of Mimir's command line.

    Every process reads the same files, so the result is remembered; treat it as frozen.

    Raises:
        RuntimeFileError: broken YAML, a duplicate key, several documents, an unknown name, a
            wrong type, or a scalar in one file where another has a mapping.
    """
    merged: Tree = {}
    for text in texts:
        merged = _merge(merged, _parse(text), where="")
    for section in merged:
        if section not in _TOP_LEVEL:
            raise RuntimeFileError(f"unknown top-level key {section!r} in the runtime file")

    overrides = {
        tenant: _checked(limits, kinds=KINDS, where=f"overrides.{tenant}")
        for tenant, limits in _mapping(merged.get("overrides"), where="overrides").items()
    }
    instance_limits = {
        section: _checked(merged[section], kinds=kinds, where=section)
        for section, kinds in _INSTANCE_LIMITS.items()
        if section in merged
    }
    marshalled = json.dumps([overrides, instance_limits], sort_keys=True, default=str)
    return Loaded(
        overrides=overrides,
        instance_limits=instance_limits,
        sha256=hashlib.sha256(marshalled.encode()).hexdigest(),
    )


def _parse(text: str) -> Tree:
    """One file as nested mappings with string keys; JSON is tried first because it is quick."""
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json)
    except ValueError:
        try:
            document = YAML(typ="safe").load(text)
        except (YAMLError, ValueError) as exc:
            raise RuntimeFileError(f"the runtime file is not YAML: {_one_line(exc)}") from exc
    return _mapping(document, where="the runtime file")


def _unique(pairs: list[tuple[str, object]]) -> Tree:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise RuntimeFileError("a key appears twice in one mapping of the runtime file")
    return tree


def _not_json(constant: str) -> float:
    raise ValueError(constant)


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())


def _mapping(value: object, *, where: str) -> Tree:
    """The value as a mapping with string keys; nothing at all counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RuntimeFileError(f"{where} must be a mapping, not {type(value).__name__}")
    return _unique([(str(key), item) for key, item in value.items()])


def _merge(left: Tree, right: Tree, *, where: str) -> Tree:
    """Mappings merge, anything else from the right wins, the two kinds do not mix."""
    merged = dict(left)
    for key, new in right.items():
        old = merged.get(key)
        path = f"{where}.{key}" if where else key
        if isinstance(old, dict) and (new is None or isinstance(new, dict)):
            merged[key] = _merge(old, _mapping(new, where=path), where=path)
        elif old is not None and new is not None and isinstance(old, dict) != isinstance(new, dict):
            raise RuntimeFileError(f"{path} is a mapping in one file and a scalar in another")
        else:
            merged[key] = _mapping(new, where=path) if isinstance(new, dict) else new
    return merged


def _checked(value: object, *, kinds: dict[str, Kind], where: str) -> dict[str, Value]:
    checked = {}
    for name, item in _mapping(value, where=where).items():
        if name not in kinds:
            raise RuntimeFileError(f"unknown limit {name!r} in {where}")
        if item is not None:
            checked[name] = _typed(item, kind=kinds[name], where=f"{where}.{name}")
    return checked


def _typed(value: object, *, kind: Kind, where: str) -> Value:
    """The value as its limit's kind, converted only as far as Mimir converts."""
    typed = _READERS[kind](value)
    if typed is None:
        raise RuntimeFileError(f"{where} must be of type {kind}, not {value!r}")
    return typed


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _int(value: object) -> int | None:
    number = _float(value)
    return int(number) if number is not None and math.isfinite(number) else None


def _duration(value: object) -> str | None:
    text = "0s" if value == 0 and not isinstance(value, bool) else value
    return text if isinstance(text, str) and _DURATION.fullmatch(text) else None


_READERS: Final[dict[Kind, Callable[[object], Value]]] = {
    "int": _int,
    "float": _float,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "duration": _duration,
    "string": lambda value: str(value) if isinstance(value, str | int | float) else None,
    "list": lambda value: value if isinstance(value, list) else None,
    "map": lambda value: value if isinstance(value, dict) else None,
}
