"""The report in a browser, from disk: drawn, found, sorted, dark, on paper."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deployments.endpoint import Endpoint
from policy.settings import parse_settings
from storage.database import Database
from tasks.report import gathered
from tasks.report_page import report_page
from tests.deployments.api import TOKENS, VIEWER, Process
from tests.deployments.chromium import Browser, browsing
from tests.deployments.reported import ACME, HOSTILE, NOW, QUIET, TREE, fill

DARK = {"prefers_color_scheme": "dark"}
SHOWN = "[...document.querySelectorAll('#tenants-table tbody tr')].filter(row => !row.hidden)"
NAMES = f"{SHOWN}.map(row => row.cells[0].textContent)"
# The plots in which something is drawn of the colour that the page has for usage.
DRAWN = """
    [...document.querySelectorAll('[data-plot] canvas')].filter(canvas => {
        const dots = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        for (let place = 3; place < dots.length; place += 4) if (dots[place]) return true;
        return false;
    }).length
"""
TURNED_DARK = """
    new Promise(done => matchMedia('(prefers-color-scheme: dark)').addEventListener('change', done))
"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser(
    debian_tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    program = debian_tool("chromium", "chromium")
    with browsing(program, profile=tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    with Database.open(":memory:", clock=lambda: NOW) as database:
        fill(database)
        found = gathered(parse_settings(TREE), where=database, days=7, now=NOW)
    file.write_text(report_page(found), encoding="utf-8")
    return file.as_uri()


def heading(name: str) -> str:
    """The button that sorts by a column."""
    return (
        "[...document.querySelectorAll('#tenants-table th button')]"
        f".find(each => each.textContent === '{name}')"
    )


def test_every_chart_is_drawn_and_the_browser_complains_of_nothing(
    browser: Browser, url: str
) -> None:
    browser.open(url)

    assert browser.ask("document.querySelectorAll('[data-plot]').length") == 4
    assert browser.ask(DRAWN) == 4
    assert browser.said == []


def test_a_page_without_any_history_complains_of_nothing(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    with Database.open(":memory:", clock=lambda: NOW) as database:
        found = gathered(parse_settings({}), where=database, days=7, now=NOW)
    file.write_text(report_page(found), encoding="utf-8")

    browser.open(file.as_uri())

    assert browser.said == []
    assert "No tenant was seen yet" in browser.ask("document.body.textContent")


def test_a_name_that_is_markup_is_text_and_runs_nothing(browser: Browser, url: str) -> None:
    browser.open(url)

    assert HOSTILE in browser.ask(NAMES)
    assert browser.ask("document.images.length") == 0


def test_a_script_that_somebody_adds_is_not_run(browser: Browser, url: str, tmp_path: Path) -> None:
    file = tmp_path / "other.html"
    html = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    file.write_text(html.replace("</main>", "<script>window.ran = 1</script></main>"))

    browser.open(file.as_uri())

    assert browser.ask("window.ran === undefined")
    assert any("Content Security Policy" in line for line in browser.said)


def test_what_is_typed_is_found_and_counted(browser: Browser, url: str) -> None:
    browser.open(url)

    browser.ask("document.getElementById('search').focus()")
    browser.write("AcM")

    assert browser.ask(NAMES) == [ACME]
    assert browser.ask("document.getElementById('count').textContent") == "1 of 3 tenants"


def test_a_severity_that_is_chosen_is_all_that_is_shown(browser: Browser, url: str) -> None:
    browser.open(url)

    browser.ask("""
        const field = document.getElementById('severity');
        field.value = 'critical';
        field.dispatchEvent(new Event('change'));
    """)

    assert browser.ask(NAMES) == [HOSTILE]


def test_a_heading_sorts_at_the_press_of_a_key_and_says_how(browser: Browser, url: str) -> None:
    browser.open(url)
    sorted_as = f"{heading('used')}.parentNode.getAttribute('aria-sort')"

    browser.ask(f"{heading('used')}.focus()")
    browser.press("Enter")
    down = browser.ask(NAMES), browser.ask(sorted_as)
    browser.press("Enter")
    up = browser.ask(NAMES), browser.ask(sorted_as)

    # What is not known is last, whichever way.
    assert down == ([ACME, HOSTILE, QUIET], "descending")
    assert up == ([HOSTILE, ACME, QUIET], "ascending")


def test_a_chart_is_read_with_the_arrow_keys(browser: Browser, url: str) -> None:
    browser.open(url)
    values = "[...document.querySelectorAll('[data-plot=fleet] .u-value')].map(e => e.textContent)"

    browser.ask("document.querySelector('[data-plot=fleet]').focus()")
    browser.press("ArrowRight")
    first = browser.ask(values)
    browser.press("ArrowRight")

    assert first == ["2026-11-16 12:00", "unknown"]
    assert browser.ask(values) == ["2026-11-16 13:00", "unknown"]


def test_what_one_prefers_is_what_one_gets_and_charts_follow(browser: Browser, url: str) -> None:
    browser.open(url, prefers_color_scheme="light")
    light = browser.ask(BACKGROUND)
    bright = browser.ask("document.querySelector('[data-plot] canvas').toDataURL()")
    browser.ask(f"void (window.turned = {TURNED_DARK})")

    browser.emulate(**DARK)
    browser.ask("turned.then(() => true)")

    assert light == "rgb(255, 255, 255)"
    assert browser.ask(BACKGROUND) == "rgb(20, 23, 27)"
    assert browser.ask("document.querySelector('[data-plot] canvas').toDataURL()") != bright
    assert browser.said == []


def test_paper_is_white_whatever_one_prefers_and_charts_follow(browser: Browser, url: str) -> None:
    browser.open(url, **DARK)
    fleet = "document.querySelector('[data-plot=fleet] canvas').toDataURL()"
    dark = browser.ask(fleet)

    browser.ask("dispatchEvent(new Event('beforeprint'))")
    on_paper = browser.ask(BACKGROUND), browser.ask(fleet)
    browser.ask("dispatchEvent(new Event('afterprint'))")

    assert on_paper[0] == "rgb(255, 255, 255)"
    assert on_paper[1] != dark
    assert browser.ask(BACKGROUND) == "rgb(20, 23, 27)"
    assert browser.ask(fleet) == dark


def test_it_can_be_printed_in_the_dark_and_is_dark_afterwards(browser: Browser, url: str) -> None:
    browser.open(url, **DARK)

    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])

    assert printed.startswith(b"%PDF")
    assert browser.ask("document.documentElement.className") == ""
    assert browser.ask(DRAWN) == 4
    assert browser.said == []


def test_on_paper_the_table_is_not_cut_and_its_tools_are_gone(browser: Browser, url: str) -> None:
    browser.open(url)

    browser.emulate("print")

    assert browser.ask("getComputedStyle(document.querySelector('.box.tall')).maxHeight") == "none"
    assert browser.ask("getComputedStyle(document.getElementById('tools')).display") == "none"


def test_on_a_narrow_screen_only_tables_scroll_sideways(browser: Browser, url: str) -> None:
    narrow = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **narrow)
    try:
        browser.open(url)

        assert browser.ask("document.documentElement.scrollWidth") <= 400
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """A process that answers, and where; its history has no report beside it yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    history = str(tmp_path / "history.duckdb")
    address = f"http://127.0.0.1:{port}"
    with Database.open(history, clock=lambda: NOW) as database:
        process = Process(database=database, tree={"storage": {"url": history}})
        endpoint = Endpoint(process.app(), host="127.0.0.1", port=port)
        endpoint.start()
        with httpx.Client(transport=httpx.HTTPTransport(retries=6)) as client:
            client.get(f"{address}/health")
        yield process, address
        endpoint.stop()


def test_the_console_saves_the_report_with_its_token_or_says_why_not(
    browser: Browser, url: str, served: tuple[Process, str], tmp_path: Path
) -> None:
    process, address = served
    process.tree["server"] = TOKENS
    saved = tmp_path / "saved"
    told = {"behavior": "allow", "downloadPath": str(saved), "eventsEnabled": True}
    browser.call("Browser.setDownloadBehavior", **told)
    browser.open(f"{address}/health")
    browser.ask(f"sessionStorage.setItem('mlo-token', '{VIEWER}')")
    browser.open(f"{address}/")
    press = "document.getElementById('report').onclick()"

    browser.ask(press)
    none_yet = browser.ask("document.getElementById('state').textContent")
    html = Path(url.removeprefix("file://")).read_bytes()
    (tmp_path / "report.html").write_bytes(html)
    browser.ask(press)

    assert "`mlo report` makes one" in none_yet
    assert browser.downloaded(saved / "report.html") == html


def test_what_is_served_is_drawn_as_from_disk(
    browser: Browser, url: str, served: tuple[Process, str], tmp_path: Path
) -> None:
    _, address = served
    html = Path(url.removeprefix("file://")).read_bytes()
    (tmp_path / "report.html").write_bytes(html)

    browser.open(f"{address}/report")

    assert browser.ask(DRAWN) == 4
    assert browser.said == []
