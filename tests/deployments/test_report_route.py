"""The report over HTTP: who may read it, and what is answered before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.database import Database
from tests.deployments.api import NOW, OPERATOR, TOKENS, VIEWER, Process

PAGE = "<!doctype html><title>a report</title>"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    url = str(tmp_path / "history.duckdb")
    tree: dict[str, Any] = {"server": TOKENS, "storage": {"url": url}}
    with Database.open(url, clock=lambda: NOW) as database:
        yield Process(database=database, tree=tree)


def report(process: Process, token: str | None = VIEWER) -> httpx.Response:
    return process.call("GET", "/report", token=token, root="")


def test_before_there_is_a_report_a_sentence_says_how_to_make_one(process: Process) -> None:
    answer = report(process)

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert answer.headers["content-type"].startswith("text/plain")
    assert "`mlo report` makes one" in answer.text


@pytest.mark.parametrize("token", [VIEWER, OPERATOR])
def test_the_newest_file_is_served_as_it_is_and_in_no_frame(
    process: Process, tmp_path: Path, token: str
) -> None:
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")

    answer = report(process, token)

    assert (answer.status_code, answer.text) == (httpx.codes.OK, PAGE)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == (
        "frame-ancestors 'none'; sandbox allow-scripts"
    )


@pytest.mark.parametrize("token", [None, "guessed"])
def test_who_may_not_read_the_api_may_not_read_the_report(
    process: Process, tmp_path: Path, token: str | None
) -> None:
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")

    answer = report(process, token)

    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert PAGE not in answer.text
