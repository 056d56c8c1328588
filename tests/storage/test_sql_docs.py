"""Every example of docs/sql.md runs, and every view is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storage.client import check_statements
from storage.database import Database

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("view", "section"), SECTIONS, ids=[view for view, _ in SECTIONS])
def test_the_example_of_a_view_runs_and_asks_that_view(
    database: Database, view: str, section: str
) -> None:
    (example,) = re.findall(r"```sql\n(.*?)```", section, flags=re.DOTALL)

    check_statements(example)
    answer = database.cursor().execute(example)

    assert answer.description
    assert view in example


def test_every_view_is_documented(database: Database) -> None:
    views = database.cursor().execute(
        "select view_name from duckdb_views() where not internal order by view_name"
    )

    assert sorted(view for view, _ in SECTIONS) == [name for (name,) in views.fetchall()]
