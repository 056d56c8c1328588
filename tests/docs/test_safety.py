"""docs/safety.md: each promise names what holds it.

That the tests which it names exist is looked up by tests/deployments/test_docs.py, of every page.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z][^|]*) \| ([^|]*) \| ([^|]*) \|$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize(("promise", "held"), [(promise, held) for promise, _, held in ROWS])
def test_a_promise_names_a_test_or_why_it_needs_none(promise: str, held: str) -> None:
    tests = re.findall(r"`tests/[\w/]+\.py(?:::test_\w+)?`", held)

    assert tests or held.startswith("by construction"), promise


def test_no_promise_is_made_twice() -> None:
    promises = [promise for promise, _, _ in ROWS]

    assert len(promises) > 25
    assert len(set(promises)) == len(promises)
