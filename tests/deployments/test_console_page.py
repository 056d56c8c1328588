"""The page at `/`, in a browser before a process that answers."""

from __future__ import annotations

import re
import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256

import polars as pl
import pytest

from deployments.api.rate import Allowance, Buckets
from deployments.console_page import console_page
from deployments.endpoint import Endpoint
from policy.frames import LIMITS
from storage.audit import append_audit
from storage.database import Database
from storage.limits import observe_limits
from storage.tenants import seen
from tasks.audit_entries import Turn, settings_turned
from tests.deployments.api import NOW, Process

HOSTILE = "<img src=x onerror=alert(1)>"
VIEWS = ("fleet", "limits", "breakers", "alerts", "cost", "audit")
ENDLESS = Allowance(at_once=1e9, per_second=1e9)

Browser = Callable[[str], tuple[str, str]]


@pytest.fixture(scope="module")
def browse(
    debian_tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Browser:
    """Opens an address; the page once it is drawn, and what the browser complained of."""
    program = debian_tool("chromium", "chromium")
    profile = tmp_path_factory.mktemp("chromium")

    def open_(url: str) -> tuple[str, str]:
        found = subprocess.run(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                f"--user-data-dir={profile}",
                "--virtual-time-budget=5000",
                "--enable-logging=stderr",
                "--dump-dom",
                url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        said = [line for line in found.stderr.splitlines() if "CONSOLE" in line]
        return found.stdout, "\n".join(said)

    return open_


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a process answers that knows two tenants, one with a name that is markup."""
    path = tmp_path_factory.mktemp("console") / "history.duckdb"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with Database.open(str(path), clock=lambda: NOW) as database:
        seen(database, ["acme", HOSTILE], at=NOW)
        rows = [("acme", "ingestion_rate", 10_000.0), (HOSTILE, "ingestion_rate", 20_000.0)]
        observe_limits(database, pl.DataFrame(rows, schema=LIMITS, orient="row"), at=NOW)
        broken = settings_turned(Turn(works=False, problem=HOSTILE), run_id="r", at=NOW)
        append_audit(database, [broken])
        process = Process(
            database=database,
            tree={"mode": "prod"},
            buckets=Buckets(seconds=lambda: 0.0, reads=ENDLESS, writes=ENDLESS),
        )
        endpoint = Endpoint(process.app(), host="127.0.0.1", port=port)
        endpoint.start()
        yield f"http://127.0.0.1:{port}"
        endpoint.stop()


def test_the_browser_runs_what_is_in_the_page_and_nothing_else() -> None:
    html, policy = console_page()

    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "innerHTML" not in html


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_is_drawn_without_a_complaint(browse: Browser, address: str, view: str) -> None:
    page, said = browse(f"{address}/#{view}")

    assert said == ""
    assert "as of " in page
    assert f'href="#{view}" aria-current="page"' in page


def test_names_are_text_whatever_they_are(browse: Browser, address: str) -> None:
    fleet, _ = browse(f"{address}/#fleet")
    audit, _ = browse(f"{address}/#audit")

    assert "&lt;img src=x onerror=alert(1)&gt;" in fleet
    assert "<img" not in fleet + audit
    assert ">acme</a>" in fleet


def test_a_tenant_that_nobody_knows_is_said_to_be_none(browse: Browser, address: str) -> None:
    page, _ = browse(f"{address}/#tenant/nobody")

    assert "nothing is known of 'nobody'" in page


def test_nothing_of_the_page_is_elsewhere() -> None:
    html = console_page()[0].partition("<script>")[0]

    assert not re.findall(r"(?:src|href)=", html)
