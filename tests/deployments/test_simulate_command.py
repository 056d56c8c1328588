"""`mlo simulate` orders the simulator about, and refuses to speak to anything else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.cli import app
from simulator import Cluster, Plan, endpoints, roster, running

TENANT = "steady-1"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A simulation that runs, with its configuration where `mlo up --simulate` puts it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLO_CONFIG", raising=False)
    monkeypatch.delenv("MODE", raising=False)
    file = tmp_path / "overrides.yaml"
    file.write_text("overrides: {}\n")
    made = Cluster(Plan(tenants=roster(3), runtime_files=[file]), clock=time.time)
    with running(made) as server:
        point_at(tmp_path, *endpoints(server.server_address[1]))
        yield made


def point_at(folder: Path, *urls: str) -> None:
    config = folder / "data" / "simulator" / "config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"mimir": {"endpoints": list(urls)}}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


@contextmanager
def somebody_else() -> Iterator[tuple[str, list[str]]]:
    """A server that is no simulator, and what it was sent."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def do_POST(self) -> None:
            sent.append(self.path)
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("samples", "steady-1 sends 10 times its samples and series, for 5m"),
        ("series", "steady-1 creates 10 times its series in five minutes, for 5m"),
        ("queries", "steady-1 asks 10 times its queries, for 5m"),
    ],
)
def test_a_tenant_of_the_simulation_blasts_as_it_is_told(
    cluster: Cluster, kind: str, said: str
) -> None:
    told = run("blast", "--tenant", TENANT, "--factor", "10", "--kind", kind, "--for", "5m")

    assert (told.exit_code, told.stderr.strip()) == (0, said)
    assert [(tenant, of) for tenant, of in cluster._blasts] == [(TENANT, kind)]


def test_a_process_crashes_and_calm_ends_what_was_ordered(cluster: Cluster) -> None:
    run("blast", "--tenant", TENANT)

    crashed = run("crash", "ingester-1")
    calmed = run("calm")

    assert crashed.stderr.strip() == "ingester-1 crashed and is starting again"
    assert cluster.processes["ingester-1"].down_until > cluster.now
    assert calmed.exit_code == 0
    assert cluster._blasts == {}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("blast", "--tenant", "steady"), "nothing is known of a tenant 'steady'"),
        (("crash", "ingester-9"), "there is no process 'ingester-9' in the simulation"),
    ],
)
def test_whom_the_simulation_does_not_have_is_one_line(words: tuple[str, ...], line: str) -> None:
    told = run(*words)

    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: {line}")
    assert told.stderr.count("\n") == 1


def test_a_real_mimir_is_never_sent_an_order(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(json.dumps({"mimir": {"endpoints": ["http://mimir.example.com:8080"]}}))

    told = run("blast", "--tenant", TENANT, "--config", str(config))

    assert told.exit_code == 1
    assert "is at mimir.example.com and is not the simulator: nothing was sent" in told.stderr


def test_another_server_of_this_machine_is_only_asked_who_it_is(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    with somebody_else() as (url, sent):
        config.write_text(json.dumps({"mimir": {"endpoints": [url]}}))

        told = run("calm", "--config", str(config))

    assert told.exit_code == 1
    assert "is not the simulator: no order was sent" in told.stderr
    assert sent == []


def test_without_a_simulation_the_way_to_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    point_at(tmp_path, "http://127.0.0.1:1")

    told = run("calm")

    assert told.exit_code == 1
    assert "start one with `mlo up --simulate`" in told.stderr
