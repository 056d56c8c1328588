"""What the API tells of the fleet, what may be ordered over it, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import polars as pl
import pytest

from deployments.api.rate import Allowance, Buckets
from policy.alerting.patience import Standing
from policy.frames import LIMITS
from policy.standings import STANDINGS
from storage import outbox
from storage.audit import read_audit
from storage.database import Database
from storage.limits import observe_limits
from storage.maintenance import snapshot
from storage.runs import Run, record_run
from storage.standings import replace_standings
from storage.tenants import seen
from tests.deployments.api import NOW, OPERATOR, VIEWER, Process

SECRET = "s3cret-of-the-test"
OURS = {"viewerToken": VIEWER}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Two tenants with a limit each, of which one is nearly used up."""
    with Database.open(str(tmp_path / "history.duckdb"), clock=lambda: NOW) as database:
        seen(database, ["acme", "beta"], at=NOW)
        rows = [("acme", "ingestion_rate", 10_000.0), ("beta", "ingestion_rate", 20_000.0)]
        observe_limits(database, pl.DataFrame(rows, schema=LIMITS, orient="row"), at=NOW)
        standing = {
            "at": NOW,
            "tenant": "acme",
            "limit": "ingestion_rate",
            "value": 10_000.0,
            "hit_probability": float("nan"),
            "severity": "ok",
        }
        replace_standings(database, pl.DataFrame([standing], schema=STANDINGS))
        yield Process(database=database)


def audited(process: Process) -> list[tuple[str, str]]:
    found = read_audit(process.database, since=NOW - timedelta(days=1))
    return found.select("action", "actor").rows()


def test_tenants_come_in_pages_and_may_be_looked_for_by_a_part_of_their_name(
    process: Process,
) -> None:
    first = process.get("/tenants?limit=1")
    second = process.get("/tenants?limit=1&offset=1")
    found = process.get("/tenants?tenant=et")

    assert first["total"] == 2
    assert [row["tenant"] for page in (first, second) for row in page["rows"]] == ["acme", "beta"]
    assert [row["tenant"] for row in found["rows"]] == ["beta"]
    assert first["rows"][0]["ingestion_rate_limit"] == 10_000


def test_a_tenant_is_told_in_full_and_one_that_nobody_knows_is_not_there(process: Process) -> None:
    pinned = {"tenant": "acme", "limit": "ingestion_rate", "value": 15_000, "reason": "a test"}
    assert process.call("POST", "/pins", json=pinned).status_code == httpx.codes.OK

    told = process.get("/tenants/acme")
    unknown = process.call("GET", "/tenants/nobody")

    (story,) = [each for each in told["stories"] if each["limit"] == "ingestion_rate"]
    assert [voice["layer"] for voice in story["voices"] if voice["decides"]] == ["pin"]
    assert told["pins"][0]["value"] == 15_000
    # What is no number is unknown.
    assert told["risks"][0]["hit_probability"] is None
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"error": "nothing is known of 'nobody'"},
    )


@pytest.mark.parametrize(
    ("path", "order", "action"),
    [
        (
            "/pins",
            {"tenant": "acme", "limit": "ingestion_rate", "value": 15_000},
            "pin",
        ),
        ("/pause", {"until": "2026-11-24T12:00:00+01:00"}, "pause"),
        ("/withdraw", {}, "withdraw"),
    ],
)
def test_an_order_is_carried_out_by_an_operator_only_and_is_entered(
    process: Process, path: str, order: dict[str, Any], action: str
) -> None:
    said = {**order, "reason": "a test", "by": "anna"}

    without = process.call("POST", path, json=said, token=None)
    viewers = process.call("POST", path, json=said, token=VIEWER)
    before = audited(process)
    done = process.call("POST", path, json=said, token=OPERATOR)

    assert (without.status_code, viewers.status_code, before) == (401, 403, [])
    assert done.status_code == httpx.codes.OK
    assert audited(process) == [(action, "anna")]


@pytest.mark.parametrize(
    ("path", "order", "says"),
    [
        ("/pins", {"tenant": "nobody", "limit": "ingestion_rate", "value": 5_000}, "nobody"),
        ("/pins", {"tenant": "acme", "limit": "ingestion_rat", "value": 1}, "ingestion_rat"),
        ("/pins/remove", {"tenant": "acme", "limit": "ingestion_rate"}, "is not pinned"),
        ("/rollback", {"revision": 7}, "there is no revision 7"),
        ("/release", {}, "nobody is held"),
        ("/resume", {}, "nobody paused"),
        ("/pause", {"until": "2026-11-23T11:00:00Z"}, "until is not ahead"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why_and_changes_nothing(
    process: Process, path: str, order: dict[str, Any], says: str
) -> None:
    answer = process.call("POST", path, json={**order, "reason": "a test"})

    assert answer.status_code == httpx.codes.CONFLICT
    assert says in answer.json()["error"]
    assert audited(process) == []


def test_a_question_is_answered_from_the_copy_and_reaches_nothing_else(process: Process) -> None:
    def ask(sql: str, token: str | None = VIEWER) -> httpx.Response:
        return process.call("POST", "/sql", json={"sql": sql}, token=token)

    early = ask("select 1")
    snapshot(process.database)
    process.buckets = Buckets(seconds=process.seconds, writes=Allowance(at_once=99, per_second=1))

    assert early.status_code == httpx.codes.CONFLICT
    assert ask("select 1", token=None).status_code == httpx.codes.UNAUTHORIZED
    answer = ask("select tenant from tenants order by tenant").json()
    assert answer == {"columns": ["tenant"], "rows": [["acme"], ["beta"]], "more": False}
    assert ask("from range(20000)").json()["more"] is True
    for refused in (
        "from read_text('/etc/hostname')",
        "select 1; select 2",
        "delete from tenants",
        "copy (select 1) to 'x.csv'",
        "set enable_external_access = true",
        "select nothing",
    ):
        assert ask(refused).status_code == httpx.codes.CONFLICT, refused


def test_sql_needs_a_token_also_on_this_machine(process: Process) -> None:
    process.tree["server"] = {}

    answer = process.call("POST", "/sql", json={"sql": "select 1"}, token=None)

    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "server.viewerToken" in answer.json()["error"]


def test_settings_are_told_without_their_secrets(process: Process) -> None:
    process.tree["mimir"] = {"headers": {"Authorization": SECRET}}

    answer = process.call("GET", "/config")

    assert answer.status_code == httpx.codes.OK
    assert SECRET not in answer.text
    assert OPERATOR not in answer.text


def test_who_asks_too_often_is_told_when_to_ask_again(process: Process) -> None:
    now = [0.0]
    process.buckets = Buckets(
        seconds=lambda: now[0],
        reads=Allowance(at_once=2, per_second=0.5),
        writes=Allowance(at_once=1, per_second=0.1),
    )
    reads = [process.call("GET", "/status") for _ in range(3)]
    writes = [process.call("POST", "/resume", json={"reason": "x"}) for _ in range(2)]
    now[0] += 2
    later = process.call("GET", "/status")

    assert [each.status_code for each in reads] == [200, 200, 429]
    assert reads[2].headers["Retry-After"] == "2"
    assert [each.status_code for each in writes] == [409, 429]
    assert writes[1].headers["Retry-After"] == "10"
    assert later.status_code == httpx.codes.OK


def test_the_status_says_what_works(process: Process) -> None:
    told = process.get("/status")

    assert (told["mode"], told["tenants"], told["revision"]) == ("prod", 2, None)
    assert told["components"]["history"] == {"works": True, "problem": None}


@pytest.mark.parametrize(
    ("server", "alerting", "url"),
    [
        (OURS, {}, "http://127.0.0.1:4200/runs/flow-run/r-1"),
        (OURS, {"prefectUrl": "https://prefect.acme"}, "https://prefect.acme/runs/flow-run/r-1"),
        (OURS | {"host": "0.0.0.0"}, {}, None),
    ],
)
def test_the_status_links_the_newest_run_of_each_flow_where_a_browser_can_open_it(
    process: Process, server: dict[str, str], alerting: dict[str, str], url: str | None
) -> None:
    summary = {"decisions": {"raise": 3}, "publish": "nothing"}
    for number in (0, 1):
        run = Run(
            run_id=f"r-{number}",
            flow="optimize",
            started_at=NOW + timedelta(minutes=number),
            finished_at=NOW + timedelta(minutes=number, seconds=2),
            outcome="success",
            summary=summary,
        )
        record_run(process.database, run)
    process.tree = {"server": server, "alerting": alerting}
    process.prefect_url = "http://127.0.0.1:4200"

    (told,) = process.get("/status", token=VIEWER)["runs"]

    assert (told["flow"], told["what"], told["url"]) == ("optimize", "optimize · 3 raised", url)


def test_the_status_of_alerting_names_each_channel_and_what_is_wrong_with_it(
    process: Process,
) -> None:
    down = Standing(breaker="open", since=NOW, failures=5, problem="no answer", checked_at=NOW)
    outbox.keep_channel(process.database, "slack", down)
    outbox.keep_channel(process.database, "email", Standing(checked_at=NOW))

    told = process.get("/alerting/status", root="/debug", token=VIEWER)
    without = process.call("GET", "/alerting/status", root="/debug", token=None)

    assert without.status_code == httpx.codes.UNAUTHORIZED
    assert (told["enabled"], told["open_incidents"], told["queue_size"]) == (True, 0, 0)
    channels = told["channels"]
    assert {name: each["healthy"] for name, each in channels.items()} == {
        "slack": False,
        "email": True,
    }
    assert channels["slack"]["circuit_breaker"] == "open"
    assert channels["slack"]["error"] == "no answer"


def test_a_process_whose_history_is_gone_is_alive_and_not_ready(process: Process) -> None:
    def ready() -> httpx.Response:
        return process.call("GET", "/readyz", root="")

    before = ready().json()["problems"]
    process.database.close()
    after = ready()

    assert [line for line in before if "history" in line] == []
    assert after.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert [line for line in after.json()["problems"] if "the history is not open" in line]
    assert process.call("GET", "/healthz", root="").json()["status"] == "ok"


def test_a_profile_is_for_operators_and_tells_where_time_and_memory_go(process: Process) -> None:
    asked, done = Event(), Event()

    def busy_with_nothing() -> None:
        asked.set()
        done.wait()

    thread = Thread(target=busy_with_nothing, name="a lane")
    thread.start()
    asked.wait()
    cpu = process.call("GET", "/profile/cpu?seconds=0.2", root="/debug")
    heap = process.call("GET", "/profile/heap?seconds=0.1", root="/debug")
    refused = [
        process.call("GET", f"/profile/{kind}", root="/debug", token=VIEWER).status_code
        for kind in ("cpu", "heap")
    ]
    done.set()
    thread.join()

    (line, *_) = [line for line in cpu.text.splitlines() if line.startswith("a lane;")]
    assert "busy_with_nothing" in line
    assert int(line.rpartition(" ")[2]) > 1
    assert "bytes are held of what came in 0.1 s" in heap.text
    assert refused == [403, 403]


@pytest.mark.parametrize(
    "path",
    [
        "/risk",
        "/recommendations",
        "/diff",
        "/revisions",
        "/pins",
        "/holds",
        "/cost",
        "/cost?by=team&window=today",
        "/budgets",
        "/savings",
        "/alerts",
        "/audit",
        "/circuit-breaker/status",
    ],
)
def test_each_page_is_told_where_nothing_happened_yet(process: Process, path: str) -> None:
    answer = process.call("GET", path, token=VIEWER)

    assert answer.status_code == httpx.codes.OK, answer.text
    assert process.call("GET", path, token=None).status_code == httpx.codes.UNAUTHORIZED
