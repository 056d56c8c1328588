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


def _asked_on_pages() -> list[tuple[str, str]]:
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    return [
        (page.name, sql)
        for page in pages
        for sql in re.findall(r'mlo sql "([^"…]+)"', page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "sql"), _asked_on_pages())
def test_what_a_page_asks_with_mlo_sql_can_be_asked(
    database: Database, page: str, sql: str
) -> None:
    check_statements(sql)

    assert database.cursor().execute(sql).description, page
