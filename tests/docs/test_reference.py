"""docs/settings.md and docs/limits.md are what the code says now, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import limits_page, settings_page
from docs.generate import texts
from policy.settings import Settings
from policy.settings.schema import leaf_keys, located
from tasks.settings_environment import from_environment

KEYS = list(leaf_keys(Settings))
WITH_VARIABLE = [key for key in KEYS if settings_page.variable(key)]


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_a_page_that_is_made_from_the_code_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == texts()[path], "run make reference"


def test_every_setting_has_one_row() -> None:
    page = next(text for path, text in texts().items() if path.name == "settings.md")

    assert sorted(re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE)) == sorted(KEYS)


@pytest.mark.parametrize("key", WITH_VARIABLE)
def test_a_variable_sets_its_setting(key: str) -> None:
    variable = settings_page.variable(key)

    [written] = from_environment({variable: "{}"})

    path = []
    tree: object = written.tree
    while isinstance(tree, dict) and tree:
        [(step, tree)] = tree.items()
        path.append(step)
    found = located(Settings, [step.replace("*", "name") for step in key.split(".")])
    assert found is not None
    assert path == [*found[0]]


def test_only_what_is_in_a_list_has_no_variable() -> None:
    without = {key.split(".*")[0] for key in set(KEYS) - set(WITH_VARIABLE)}

    assert without == {
        "alerting.maintenance",
        "alerting.quietHours",
        "alerting.routing",
        "automation.rules",
        "costControl.prices",
        "emergency.actions",
        "emergency.panicMode.actions",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("updateInterval", "duration, at least 1s"),
        ("bufferPercentage", "number, at least 0, at most 100"),
        ("storage.memoryLimit", "size, at least 64MiB"),
        ("server.port", "whole number, at least 0, at most 65535"),
        ("alerting.routing.*.channels", "list of text, not empty"),
    ],
)
def test_bounds_are_told(key: str, value: str) -> None:
    page = next(text for path, text in texts().items() if path.name == "settings.md")

    [told] = re.findall(rf"^\| `{re.escape(key)}`[^|]*\| ([^|]+) \|", page, flags=re.MULTILINE)
    assert told == value


def test_a_setting_without_a_meaning_is_refused() -> None:
    with pytest.raises(LookupError, match=r"mode: docs/configuration\.md has no row"):
        settings_page.page({})


def test_a_validator_without_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(settings_page.ASKED, "_interval")

    with pytest.raises(LookupError, match="_interval: say in ASKED"):
        texts()


def test_what_is_measured_and_what_is_said_of_it_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits_page, "SAID", {})

    with pytest.raises(LookupError, match="ingestion_rate"):
        limits_page.page()
