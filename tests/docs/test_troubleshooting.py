"""docs/troubleshooting.md quotes lines that the code says, each with `…` for what differs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ROOMS = ("policy", "storage", "tasks", "flows", "deployments")
FIRST_CELLS = re.findall(r"^\| (`[^|]+`) \|", PAGE, flags=re.MULTILINE)
QUOTED = [cell.strip("`").replace("\\|", "|") for cell in FIRST_CELLS]


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module, its parts in braces as `…`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def said() -> str:
    """All that the code says, a text a line; what DuckDB or polars fills in is `…` too."""
    modules = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    found = [text for path in modules for text in texts(ast.parse(path.read_text("utf-8")))]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return "\n".join([*(text.replace("{}", "…") for text in found), makefile])


@pytest.mark.parametrize("line", QUOTED)
def test_a_quoted_line_is_said_by_the_code(line: str) -> None:
    between = [part.strip(" …?") for part in re.split(r"…", line)]
    pattern = ".*?".join(re.escape(part) for part in between if part)

    assert re.search(pattern, said()), line


def test_a_line_that_nothing_says_is_found() -> None:
    assert "the moon is not full" not in said()
    assert len(QUOTED) > 30
