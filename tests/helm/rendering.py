"""The chart rendered by Helm's own engine, and what a process would find in its pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
from ruamel.yaml import YAML

from policy.settings import Settings
from tasks.settings import load_settings, origins

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "mimir-limit-optimizer"
PRESETS = sorted((CHART / "presets").glob("*.yaml"))
RELEASE, NAMESPACE = "mimir-limit-optimizer", "mlo"

Object = dict[str, Any]


@cache
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def given(*expressions: str) -> Object:
    """The values that `--set` with each of the expressions gives."""
    values: Object = {}
    for expression in expressions:
        values = merged(values, helm_python.parse_set_string(expression))
    return values


def values_of(file: Path) -> Object:
    return helm_python.values_from_yaml(file.read_text(encoding="utf-8"))


def merged(weak: Object, strong: Object) -> Object:
    both = dict(weak)
    for key, value in strong.items():
        below = both.get(key)
        together = isinstance(below, dict) and isinstance(value, dict)
        both[key] = merged(below, value) if together else value
    return both


@dataclass(frozen=True, slots=True)
class Rendered:
    objects: list[Object]
    notes: str

    def all(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        (found,) = [
            each for each in self.all(kind) if name is None or each["metadata"]["name"] == name
        ]
        return found

    def pod(self) -> Object:
        found: Object = self.one("Deployment")["spec"]["template"]
        return found

    def container(self) -> Object:
        (found,) = self.pod()["spec"]["containers"]
        return dict(found)

    def variables(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.container()["env"]}


def render(values: Mapping[str, Any] | None = None, *, release: str = RELEASE) -> Rendered:
    """Every object of the chart with these values.

    Raises:
        helm_python.HelmError: the values are refused.
    """
    texts = chart().render(dict(values or {}), name=release, namespace=NAMESPACE)
    notes = next(text for path, text in texts.items() if path.endswith("NOTES.txt"))
    yaml = YAML(typ="safe", pure=True)
    objects = [
        found
        for path, text in texts.items()
        if path.endswith(".yaml")
        for found in yaml.load_all(text)
        if found is not None
    ]
    return Rendered(objects, notes)


def mounted(rendered: Rendered, folder: Path, *, more: Mapping[str, str] | None = None) -> Path:
    """The folder of the settings as the kubelet lays it: the last source wins.

    Args:
        rendered: with its projected volume.
        folder: to make it in.
        more: what `existingSecret` holds.
    """
    volumes = {each["name"]: each for each in rendered.pod()["spec"]["volumes"]}
    folder.mkdir(exist_ok=True)
    for source in volumes["settings"]["projected"]["sources"]:
        for name, text in _content(rendered, source, more or {}):
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def _content(
    rendered: Rendered, source: Object, more: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    ((kind, named),) = source.items()
    if kind == "configMap":
        yield from rendered.one("ConfigMap", named["name"])["data"].items()
    elif named["name"].endswith("-settings"):
        yield from rendered.one("Secret", named["name"])["stringData"].items()
    else:
        yield from more.items()


def settings_of(rendered: Rendered, folder: Path, **more: str) -> Settings:
    """The settings that the process in the pod would have.

    Raises:
        ConfigError: they cannot be used.
    """
    where = mounted(rendered, folder, more=more)
    return load_settings(where, environ=rendered.variables())


def written_by(rendered: Rendered, folder: Path) -> dict[str, str]:
    """Which file in the pod writes each setting, by canonical key; defaults are left out."""
    return origins(mounted(rendered, folder), environ=rendered.variables())
