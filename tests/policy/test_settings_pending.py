import ast
from pathlib import Path

import pytest

from policy.errors import ConfigError
from policy.settings import Settings, parse_settings
from policy.settings.pending import WITHOUT_EFFECT, is_without_effect, set_without_effect
from policy.settings.schema import leaf_keys, shapes
from policy.settings.section import Section, aliases

ROOT = Path(__file__).parents[2]
ROOMS = ("policy", "storage", "tasks", "flows", "deployments")
NOT_READERS = {ROOT / "policy" / "settings"}


def attributes_read() -> frozenset[str]:
    """Every attribute name that the code outside policy/settings reads."""
    sources = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if not NOT_READERS & set(path.parents)
    ]
    return frozenset(
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def attribute_path(key: str) -> list[str]:
    """The attributes that lead to a key: `mimir.configMapName` is mimir, config_map_name."""
    section: type[Section] = Settings
    path = []
    for step in key.split("."):
        if step == "*":
            continue
        names = {alias: name for name, alias in aliases(section).items()}
        path.append(names[step])
        section = shapes(section)[step].section or section
    return path


def test_every_key_without_effect_exists() -> None:
    assert frozenset(leaf_keys(Settings)) >= WITHOUT_EFFECT


def test_every_other_key_is_read_somewhere() -> None:
    """
    A setting that nothing reads is a defect, unless it is listed as pending.
    """
    read = attributes_read()

    unread = [
        key
        for key in leaf_keys(Settings)
        if key not in WITHOUT_EFFECT and not read.issuperset(attribute_path(key))
    ]

    assert unread == []


def test_setting_what_nothing_reads_is_told() -> None:
    settings = parse_settings(
        {
            "mode": "prod",
            "costControl": {"enabled": True, "tenantBudgets": {"acme": {"daily": 3}}},
            "performance": {"gc": {"gogc": 50}, "caching": {"type": "redis"}},
            "limits": {"tenantTiers": {"gold": {"bufferPercentage": 30}}},
        }
    )

    assert set_without_effect(settings) == ["performance.gc.percent"]


def test_defaults_set_nothing() -> None:
    assert set_without_effect(Settings()) == []


def test_a_section_is_without_effect_when_all_its_keys_are() -> None:
    assert is_without_effect("performance.gc")
    assert not is_without_effect("performance")
    assert not is_without_effect("costControl")
    assert not is_without_effect("alerting.routing.*.channels")


def test_an_unknown_key_has_no_answer() -> None:
    with pytest.raises(ConfigError, match=r"performance\.cash: unknown key"):
        is_without_effect("performance.cash")
