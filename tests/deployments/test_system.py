"""The whole system as an operator starts it: server, worker, simulator, endpoint, and its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.deployments.system import System

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
pytestmark = [pytest.mark.prefect, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"))
    system.start()
    try:
        system.until("ready", system.ready)
        yield system
    finally:
        if system.process is not None and system.process.poll() is None:
            system.end()


def test_a_scheduled_run_completes(system: System) -> None:
    """
    With the wrong SQLAlchemy everything looks healthy and nothing is ever scheduled.
    """
    system.until("a scheduled run", lambda: bool(system.scheduled_and_completed()))


def test_the_first_runs_of_optimize_and_cost_happen_at_once(system: System) -> None:
    def both_told() -> bool:
        artifacts = system.api("artifacts/latest/filter")
        return {"optimize", "cost", "protect"} <= {artifact["key"] for artifact in artifacts}

    system.until("artifacts of optimize, cost and protect", both_told)


def test_nothing_is_written_outside_the_data_folder(system: System) -> None:
    system.until("a completed run", lambda: bool(system.scheduled_and_completed()))

    left = {path.name for path in system.folder.iterdir()}
    assert left == {"data", "out.txt", "err.txt"}


def test_limits_are_published_and_every_process_confirms_them(system: System) -> None:
    system.until("a confirmed revision", lambda: "confirmed: 9 pods" in system.words())

    assert "overrides:" in (system.folder / "data/simulator/overrides.yaml").read_text()


def test_no_flow_run_fails(system: System) -> None:
    bad = {"type": {"any_": ["FAILED", "CRASHED"]}}

    runs = system.api("flow_runs/filter", flow_runs={"state": bad})

    assert [(run["name"], run["state"]["message"]) for run in runs] == []


def test_metrics_count_the_runs(system: System) -> None:
    page = httpx.get(f"http://127.0.0.1:{system.endpoint}/metrics", timeout=5).text

    success = 'mimir_limit_optimizer_reconcile_total{flow="protect",outcome="success"}'
    assert float(page.split(success)[1].split()[0]) >= 1
    assert 'outcome="error"' not in page


@pytest.mark.parametrize("path", ["health", "healthz", "ready", "readyz"])
def test_every_probe_answers(system: System, path: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{system.endpoint}/{path}", timeout=5)

    assert answer.status_code == 200, answer.text


def test_sql_asks_the_running_process(system: System) -> None:
    asked = system.run("sql", "select count(*) as n from samples", "-o", "json")

    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)[0]["n"] > 0


def test_the_running_process_does_a_backfill_and_the_command_follows(system: System) -> None:
    lines = [f"2026-03-10T{hour:02d}:00:00Z,of-a-file,active_series,50" for hour in range(24)]
    # What is left in the folder is the subject of another test.
    path = system.folder / "data" / "usage.csv"
    path.write_text("\n".join(["at,tenant,signal,mean", *lines, ""]))

    done = system.run("backfill", "--from-file", str(path))

    assert done.returncode == 0, done.stderr
    assert "2026-03-10: 24 rows of 1 tenant, nothing missing" in done.stderr
    artifacts = system.api("artifacts/latest/filter")
    assert {"backfill", "backfill-progress"} <= {artifact["key"] for artifact in artifacts}
    progress = next(one for one in artifacts if one["key"] == "backfill-progress")
    assert float(progress["data"]) == 100.0


def test_a_worker_elsewhere_runs_what_is_heavy(system: System, tmp_path: Path) -> None:
    environ = system.environ | {
        "PREFECT_API_URL": f"http://127.0.0.1:{system.prefect}/api",
        "PREFECT_HOME": str(tmp_path / "home"),
        "MLO_STORAGE__URL": f"quack:127.0.0.1:{system.history}",
        "MLO_SYNTHETIC__ENABLED": "true",
    }
    lines = [f"2026-03-11T{hour:02d}:00:00Z,elsewhere,active_series,50" for hour in range(24)]
    usage, page = tmp_path / "usage.csv", tmp_path / "report.html"
    usage.write_text("\n".join(["at,tenant,signal,mean", *lines, ""]))

    def prefect(*words: str) -> None:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    for pool in ("process", "kubernetes"):
        file = str(ROOT / "deployments" / "pools" / f"{pool}.json")
        prefect("work-pool", "create", pool, "--type", pool, "--base-job-template", file)
    prefect("deploy", "--all", "--prefect-file", str(ROOT / "deployments" / "prefect.yaml"))
    prefect("deployment", "run", "backfill/process", "-p", f"from_file={usage}")
    prefect("deployment", "run", "backtest/process", "-p", "since=3d")
    prefect("deployment", "run", "report/process", "-p", "days=1", "-p", f"file={page}")
    prefect("worker", "start", "--pool", "process", "--run-once")

    def told(sql: str) -> list[dict]:
        return json.loads(system.run("sql", sql, "-o", "json").stdout)

    ended = told("select flow, outcome from runs where flow in ('backfill', 'backtest', 'report')")
    assert {(run["flow"], run["outcome"]) for run in ended} == {
        ("backfill", "success"),
        ("backtest", "success"),
        ("report", "success"),
    }
    assert told("select count(*) as n from usage_imported where tenant = 'elsewhere'") == [
        {"n": 24}
    ]
    assert told("select count(*) as n from backtests") == [{"n": 1}]
    assert page.read_text().startswith("<!doctype html>")


def test_the_snapshot_opens_in_any_client_while_we_run(system: System) -> None:
    snapshot = system.folder / "data" / "history.ro.duckdb"
    system.until("a snapshot", snapshot.exists)

    with duckdb.connect(str(snapshot), read_only=True) as connection:
        decided = connection.execute("select count(*) from v_decisions").fetchone()

    assert decided is not None
    assert decided[0] > 0


def test_a_second_owner_is_refused_in_one_line(system: System) -> None:
    second = system.run("up", "--simulate")

    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    assert second.stderr.count("\n") == 1


def test_ctrl_c_ends_everything_and_a_new_start_goes_on_with_the_history(system: System) -> None:
    children = system.children()
    asked = system.run("sql", "select count(*) as n from decisions", "-o", "json")
    decided = json.loads(asked.stdout)[0]["n"]

    seconds = system.end()

    assert seconds < 5
    assert [child for child in children if child.is_running()] == []
    assert json.loads(system.run("sql", "from runs limit 1", "-o", "json").stdout) != []

    system.start()
    system.until("ready again", system.ready)
    asked = system.run("sql", "select count(*) as n from decisions", "-o", "json")
    assert json.loads(asked.stdout)[0]["n"] >= decided
