"""The flow `report` writes a file beside the history, and tells where it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flows.optimize import optimize
from flows.protect import protect
from flows.report import address_of, in_short, report
from policy.settings.connection import Server
from tasks.report import gathered

INTERVAL = 15.0

NewWorld = Callable[..., Any]


@pytest.fixture
def seen_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the flow would leave in the Prefect UI."""
    told: list[str] = []

    async def tell(markdown: str, **_: object) -> None:
        told.append(markdown)

    monkeypatch.setattr("flows.report.tell", tell)
    return told


async def test_the_report_of_what_was_decided_is_beside_the_history_and_linked(
    new_world: NewWorld, seen_by: list[str]
) -> None:
    world = new_world()
    await world.run(protect)
    await world.run(optimize, after=INTERVAL)

    said = await world.run(report)

    file = world.folder / "report.html"
    html = file.read_text(encoding="utf-8")
    assert said == [f"report: 4 tenants in {file}"]
    assert "steady-1" in html
    assert "of 4 tenants have a chart" in html
    (markdown,) = seen_by
    assert "[The report](http://127.0.0.1:8080/report)" in markdown
    assert str(file) in markdown


async def test_it_may_be_asked_for_other_days(new_world: NewWorld, seen_by: list[str]) -> None:
    world = new_world()
    run: Callable[..., Coroutine[Any, Any, None]] = report.fn

    await run(days=30)

    assert "2026-10-24 12:00 to 2026-11-23 12:00" in seen_by[0]
    assert "grade unknown" in seen_by[0]
    assert (world.folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/report"),
        ("::1", "http://[::1]:8080/report"),
        ("mlo.example", "http://mlo.example:8080/report"),
        ("0.0.0.0", None),
        ("::", None),
    ],
)
def test_an_address_is_one_that_a_browser_can_open_or_none(host: str, address: str | None) -> None:
    assert address_of(Server(host=host)) == address


async def test_where_no_address_is_known_the_file_is_named(new_world: NewWorld) -> None:
    world = new_world()
    found = gathered(world.settings(), where=world.database, days=1, now=world.clock())

    assert "The report is in `data/report.html`" in in_short(
        found, address=None, path="data/report.html"
    )
