"""Write what the chart knows of the settings: values.schema.json, and which of them are secret.

Both are made from the models in `policy/settings`, so a new setting is a value of the chart as soon
as `make chart` has run. A key may be written in camelCase, in snake_case, and in the further
spellings that its section names; what a section moves to another place is listed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.alias_generators import to_camel, to_snake

from policy.settings import Settings
from policy.settings.alerting import Alerting
from policy.settings.breaker import AutoConfig, CircuitBreaker, Thresholds
from policy.settings.channels import Webhook
from policy.settings.emergency import PanicAction
from policy.settings.limits import Limits, Tier
from policy.settings.schema import Shape, shapes
from policy.settings.section import Section, aliases, fold

CHART: Final = Path(__file__).parent / "mimir-limit-optimizer"
SCHEMA: Final = CHART / "values.schema.json"
SECRETS: Final = CHART / "files" / "secret-settings.txt"

Json = dict[str, Any]

# A list or an object that holds no other on lines of its own.
_FLAT: Final = re.compile(r"\[[^\[\]{}]*\]|\{[^{}\n]*\n[^{}\n]*\n *\}")

_SCALAR: Final[Json] = {"type": ["string", "number", "null"]}
_FLAG: Final[Json] = {"type": ["boolean", "null"]}
_FREE: Final[Json] = {"type": ["object", "null"]}
_LIST: Final[Json] = {"type": ["array", "null"]}
_TEXT: Final[Json] = {"type": "string"}
_SWITCH: Final[Json] = {"type": "boolean"}

# Keys of sections that reshape what is written; see `reshaped` of each.
MOVED: Final[Mapping[type[Section], Json]] = {
    Alerting: {"webhook": {"$ref": f"#/definitions/{Webhook.__name__}"}},
    AutoConfig: {"mode": _SCALAR},
    CircuitBreaker: {},
    Limits: {},
    Thresholds: {
        "ingestionMultiplier": _SCALAR,
        "queryMultiplier": _SCALAR,
        "seriesMultiplier": _SCALAR,
        "burstMultiplier": _SCALAR,
        "safetyMargin": _SCALAR,
    },
    Tier: {},
}


def _closed(**properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}


# Values of the chart itself; all else is settings.
CHART_VALUES: Final[Json] = {
    "global": {"type": "object"},
    "existingSecret": _TEXT,
    "image": _closed(
        repository={"type": "string", "minLength": 1},
        tag={"type": ["string", "number"]},
        pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    ),
    "imagePullSecrets": {"type": "array"},
    "nameOverride": _TEXT,
    "fullnameOverride": _TEXT,
    "replicaCount": {"type": "integer", "minimum": 0},
    "extraEnv": {"type": "array"},
    "extraVolumes": {"type": "array"},
    "extraVolumeMounts": {"type": "array"},
    "serviceAccount": _closed(create=_SWITCH, name=_TEXT, annotations={"type": "object"}),
    "rbac": _closed(create=_SWITCH, createConfigMap=_SWITCH),
    "resources": {"type": "object"},
    "persistence": _closed(
        enabled=_SWITCH,
        existingClaim=_TEXT,
        storageClass=_TEXT,
        size=_TEXT,
        annotations={"type": "object"},
    ),
    "service": _closed(
        type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, annotations={"type": "object"}
    ),
    "ingress": _closed(
        enabled=_SWITCH,
        className=_TEXT,
        annotations={"type": "object"},
        host=_TEXT,
        path=_TEXT,
        tls={"type": "array"},
    ),
    "networkPolicy": _closed(
        enabled=_SWITCH,
        **{"from": {"type": "array"}},
        egress={"type": "array"},
    ),
    "serviceMonitor": _closed(enabled=_SWITCH, interval=_TEXT, labels={"type": "object"}),
    "prometheusRule": _closed(enabled=_SWITCH, labels={"type": "object"}),
    "dashboards": _closed(
        enabled=_SWITCH, labels={"type": "object"}, annotations={"type": "object"}
    ),
    "podAnnotations": {"type": "object"},
    "podLabels": {"type": "object"},
    "podSecurityContext": {"type": "object"},
    "nodeSelector": {"type": "object"},
    "tolerations": {"type": "array"},
    "affinity": {"type": "object"},
    "priorityClassName": _TEXT,
}


def values_schema() -> Json:
    """The JSON schema (draft 7) of the values.

    Raises:
        LookupError: a section reshapes what is written, and MOVED does not say how.
    """
    definitions = {found.__name__: _section(found) for found in sorted_sections()}
    top = definitions.pop(Settings.__name__)["properties"]
    canonical = {alias: top[alias] for alias in aliases(Settings).values()}
    plain = {
        key: schema
        for alias in aliases(Settings).values()
        if shapes(Settings)[alias].section is None and shapes(Settings)[alias].container == "one"
        for key, schema in _spelled(Settings, alias, top[alias])
    }
    prefect = definitions["PrefectServer"]
    prefect["properties"] = {"apiUrl": _TEXT, **prefect["properties"]}
    controller = _closed(**plain, reconcileInterval=_SCALAR, reconcile_interval=_SCALAR)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart mimir-limit-optimizer. Written by `make chart`.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**CHART_VALUES, "controller": controller, **canonical},
        "definitions": definitions,
    }


def sorted_sections() -> list[type[Section]]:
    """Every section of the settings, by name."""
    found: dict[str, type[Section]] = {Settings.__name__: Settings} | _below(Settings)
    return [found[name] for name in sorted(found)]


def _below(section: type[Section]) -> dict[str, type[Section]]:
    found: dict[str, type[Section]] = {}
    for shape in shapes(section).values():
        if shape.section is not None:
            found |= {shape.section.__name__: shape.section} | _below(shape.section)
    return found


def _section(section: type[Section]) -> Json:
    about = {"description": (section.__doc__ or "").splitlines()[0]}
    if section is PanicAction:
        return about  # a name, or a map of one name
    reshapes = section.reshaped.__func__ is not Section.reshaped.__func__  # type: ignore[attr-defined]
    if reshapes and section not in MOVED:
        raise LookupError(f"{section.__name__} reshapes what is written: say in MOVED how")
    held = shapes(section)
    properties = {
        key: schema
        for name, alias in aliases(section).items()
        for key, schema in _spelled(
            section, alias, _value(held[alias], section.model_fields[name].annotation)
        )
    }
    for key, schema in MOVED.get(section, {}).items():
        properties |= {key: schema, to_snake(key): schema}
    if section is CircuitBreaker:  # `enabled` beside the tenants
        for key in ("perTenantConfig", "per_tenant_config"):
            properties[key] = {**properties[key], "properties": {"enabled": {}}}
    return {
        **about,
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
    }


def _spelled(section: type[Section], alias: str, schema: Json) -> Iterator[tuple[str, Json]]:
    """Every spelling of a key that the chart takes; other cases the product takes alone."""
    name = next(name for name, other in aliases(section).items() if other == alias)
    others = [key for key, canonical in section.also_spelled.items() if canonical == alias]
    for key in dict.fromkeys(
        [alias, to_snake(alias), name, to_camel(name), *others, *map(to_snake, others)]
    ):
        yield key, schema


def _value(shape: Shape, annotation: object) -> Json:
    if shape.section is None:
        return {"one": _plain(annotation), "list": _LIST, "map": _FREE}[shape.container]
    below = {"$ref": f"#/definitions/{shape.section.__name__}"}
    match shape.container:
        case "list":
            return {**_LIST, "items": below}
        case "map":
            return {**_FREE, "additionalProperties": below}
    return below


def _plain(annotation: object) -> Json:
    """Text or a number, as most may be written: the program says itself what a value must be."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return _plain(next(arg for arg in args if arg is not NoneType))
    if origin is Annotated:
        return _plain(args[0])
    return _FLAG if annotation is bool else _SCALAR


def secret_settings() -> list[str]:
    """An expression for each secret: its path, folded, with `/` between the keys.

    Raises:
        LookupError: a secret is in a list, where it has no key of its own.
    """
    return sorted(f"^{path}$" for path in _secrets(Settings))


def _secrets(section: type[Section]) -> Iterator[str]:
    held = shapes(section)
    for name, alias in aliases(section).items():
        spelled = {fold(key) for key, _ in _spelled(section, alias, {})}
        if section is Alerting and alias == "webhooks":
            yield from (f"webhook/{below}" for below in _secrets(Webhook))
        key = f"({'|'.join(sorted(spelled))})" if len(spelled) > 1 else next(iter(spelled))
        shape = held[alias]
        entry = "[^/]*/" if shape.container == "map" else ""
        if shape.section is not None:
            below = list(_secrets(shape.section))
            if below and shape.container == "list":
                raise LookupError(f"{alias}: a secret in a list has no key of its own")
            yield from (f"{key}/{entry}{path}" for path in below)
        elif _is_secret(section.model_fields[name].annotation):
            yield f"{key}/[^/]*" if shape.container == "map" else key


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def texts() -> dict[Path, str]:
    """What each of the files is to hold."""
    schema = json.dumps(values_schema(), indent=1)
    return {
        SCHEMA: f"{_FLAT.sub(_on_one_line, _FLAT.sub(_on_one_line, schema))}\n",
        SECRETS: "".join(f"{expression}\n" for expression in secret_settings()),
    }


def _on_one_line(match: re.Match[str]) -> str:
    return re.sub(r"\s*\n\s*", " ", match[0])


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
