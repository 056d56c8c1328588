"""docs/configuration.md names every setting that has an effect, and no setting that does not exist.

The page says of a key what `policy.settings` says of it: its name and its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.settings import Settings, parse_duration
from policy.settings.pending import is_without_effect
from policy.settings.schema import leaf_keys, located

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `([^`]+)` \| (.+?) \| .+ \| (next run|next request|within half a minute|restart) \|$",
    PAGE,
    flags=re.MULTILINE,
)
KEYS = [key for key, _, _ in ROWS]
NO_ONE_DEFAULT = (
    "limits.minLimits",
    "limits.tenantTiers.*.bufferPercentage",
    "alerting.escalation",
)


def keys_of_the_page() -> Iterator[str]:
    """Every key in backticks that is written with its section, in the tables and beside them."""
    return (name for name in re.findall(r"`([a-z]\w*(?:\.[\w*]+)+)`", PAGE) if not is_a_path(name))


def is_a_path(name: str) -> bool:
    return name.endswith((".yaml", ".py", ".duckdb", ".*"))


def test_every_setting_with_an_effect_is_in_a_table() -> None:
    effective = {key for key in leaf_keys(Settings) if not is_without_effect(key)}

    assert effective - set(KEYS) == set()


def test_no_setting_is_in_two_rows() -> None:
    assert len(KEYS) == len(set(KEYS))


@pytest.mark.parametrize("key", sorted({*KEYS, *keys_of_the_page()}))
def test_a_named_setting_exists(key: str) -> None:
    found = located(Settings, key.split("."))

    assert found is not None
    assert ".".join(found[0]) == key


@pytest.mark.parametrize(
    ("key", "told"), [(key, told) for key, told, _ in ROWS if key not in NO_ONE_DEFAULT]
)
def test_a_default_is_the_one_that_holds(key: str, told: str) -> None:
    assert same(default_of(key), told.strip("`"))


def test_the_default_of_min_limits_is_told_limit_by_limit() -> None:
    told = next(told for key, told, _ in ROWS if key == "limits.minLimits")

    assert {
        limit: float(value) for limit, value in re.findall(r"`(\w+): (\d+)`", told)
    } == Settings().limits.min_limits


def test_the_default_of_escalation_is_told_priority_by_priority() -> None:
    told = next(told for key, told, _ in ROWS if key == "alerting.escalation")

    assert {
        priority: parse_duration(after) for priority, after in re.findall(r"`(P\d): (\w+)`", told)
    } == Settings().alerting.escalation


def default_of(key: str) -> object:
    value: object = Settings().masked()
    for step in key.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def same(value: object, told: str) -> bool:
    if told == "none":
        return not value
    if isinstance(value, bool):
        return told == str(value).lower()
    if isinstance(value, list):
        return told == ", ".join(map(str, value))
    if isinstance(value, int | float):
        return float(told) == float(value)
    try:
        return parse_duration(told) == parse_duration(str(value))
    except ValueError:
        return told == value
