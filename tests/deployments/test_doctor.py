"""The doctor, in front of a simulated Mimir, of a dead one and of broken settings."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from deployments.checks import here
from deployments.checks.check import Check
from deployments.cli import app
from deployments.doctor import examine
from policy.signals import INGESTION_RATE
from simulator import Cluster, Plan, endpoints, roster, running
from tests.tasks.receiver import Says, receiving

SECRET = "s3cret-of-the-test"
EMPTY = "overrides: {}\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


@pytest.fixture
def mimir(tmp_path: Path) -> Iterator[tuple[Cluster, list[str]]]:
    """A simulated cluster that reads our file, and the addresses of its processes."""
    file = tmp_path / "overrides.yaml"
    file.write_text(EMPTY)
    began = time.time() - 120  # old enough for tenants to have been seen
    moments = iter([began])
    plan = Plan(tenants=roster(2, seed=1), runtime_files=[file], reload_period_seconds=1.0)
    cluster = Cluster(plan, clock=lambda: next(moments, time.time()))
    with running(cluster) as server:
        yield cluster, list(endpoints(int(server.url.rpartition(":")[2])))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings on free ports and in a folder of the test."""
    return {
        "MLO_SERVER__PORT": str(free_port()),
        "MLO_PREFECT__PORT": str(free_port()),
        "MLO_STORAGE__URL": str(tmp_path / "data" / "history.duckdb"),
        "MLO_PUBLISH__FILE__PATH": str(tmp_path / "overrides.yaml"),
        "MLO_MIMIR__TIMEOUT": "5s",
    }


async def examined(environ: dict[str, str], *pods: str) -> dict[str, Check]:
    named = environ | {"MLO_MIMIR__ENDPOINTS": ",".join(pods)}
    return {check.name: check for check in await examine(None, environ=named)}


async def test_a_healthy_cluster_passes_every_check(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str]
) -> None:
    checks = await examined(environ, *mimir[1])

    wrong = [check for check in checks.values() if check.outcome not in {"ok", "skipped"}]
    assert wrong == []
    assert checks["mimir reads our file"].outcome == "skipped"
    assert checks["mimir distributors"].found.startswith("2 of 9 processes")
    assert checks["mimir ingesters"].found.startswith("3 of 9 processes")
    assert checks["mimir clocks"].found == "9 processes agree with ours within 30 s"


async def test_our_file_is_known_to_be_read_by_the_limits_that_it_holds(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str], tmp_path: Path
) -> None:
    """
    A file that is written and not named to Mimir is the mistake that nothing else shows.
    """
    cluster, pods = mimir
    tenant = cluster.plan.tenants[0].name
    said = f'overrides:\n  "{tenant}":\n    {INGESTION_RATE}: 12345\n'
    other = tmp_path / "elsewhere.yaml"
    other.write_text(said)

    unread = await examined(environ | {"MLO_PUBLISH__FILE__PATH": str(other)}, *pods)
    (tmp_path / "overrides.yaml").write_text(said)
    cluster.processes["distributor-0"].config.tick(time.time() + 5, refuse=False)
    read = await examined(environ, *pods)

    assert unread["mimir reads our file"].outcome == "warning"
    assert "12,345" in unread["mimir reads our file"].found
    assert read["mimir reads our file"].outcome == "ok"


async def test_a_clock_that_differs_is_a_warning_with_the_way_out(environ: dict[str, str]) -> None:
    plan = Plan(tenants=roster(2, seed=1), runtime_files=[])
    cluster = Cluster(plan, clock=lambda: time.time() + 305)

    with running(cluster) as server:
        checks = await examined(environ, *endpoints(int(server.url.rpartition(":")[2])))

    clocks = checks["mimir clocks"]
    assert clocks.outcome == "warning"
    assert clocks.found.startswith("our clock is 30")
    assert clocks.found.endswith(" s behind those of 9 processes")
    assert clocks.mend == "let NTP set the clocks of both machines"


async def test_a_refused_runtime_file_is_a_failure(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str], tmp_path: Path
) -> None:
    cluster, pods = mimir
    (tmp_path / "overrides.yaml").write_text("overrides:\n  a:\n    no_such_limit: 1\n")
    cluster.processes["ingester-1"].config.tick(time.time() + 5, refuse=False)

    checks = await examined(environ, *pods)

    assert checks["mimir runtime files"].outcome == "failed"
    assert "ingester-1" in checks["mimir runtime files"].found


async def test_one_dead_process_fails_alone(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str]
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"

    checks = await examined(environ, dead, *mimir[1])

    failed = [check.name for check in checks.values() if check.outcome == "failed"]
    assert failed == [f"mimir {dead}"]


async def test_without_ingesters_the_demand_on_series_is_missed(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str]
) -> None:
    pods = [pod for pod in mimir[1] if "ingester" not in pod]

    checks = await examined(environ, *pods)

    assert checks["mimir ingesters"].outcome == "failed"
    assert "each by its own address" in (checks["mimir ingesters"].mend or "")
    assert checks["mimir distributors"].outcome == "ok"


async def test_a_header_that_cannot_be_sent_is_one_failed_check(
    environ: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    headers = {"Authorization": f"{SECRET}\nmore"}
    config.write_text(json.dumps({"mimir": {"headers": headers}}))

    checks = {check.name: check for check in await examine(config, environ=environ)}

    assert checks["mimir headers"].outcome == "failed"
    assert "mimir.headers.Authorization" in checks["mimir headers"].found
    assert "history" in checks, "the other checks are made all the same"
    assert SECRET not in str(checks)


async def test_a_process_that_never_answers_does_not_hang_the_doctor(
    environ: dict[str, str],
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        pod = f"http://127.0.0.1:{silent.getsockname()[1]}"
        quick = environ | {"MLO_MIMIR__TIMEOUT": "300ms"}
        began = time.monotonic()

        checks = await examined(quick, pod)

    assert time.monotonic() - began < 5
    assert checks[f"mimir {pod}"].outcome == "failed"
    assert checks["mimir"].outcome == "skipped"


async def test_a_channel_is_tried_without_telling_anybody(environ: dict[str, str]) -> None:
    with receiving() as works, receiving(lambda _: Says(hangs=True)) as hangs:
        checks = await examined(
            environ
            | {
                "MLO_ALERTING__WEBHOOKS": json.dumps(
                    {
                        "works": {"enabled": True, "url": works.url},
                        "hangs": {"enabled": True, "url": hangs.url, "timeout": "0.2s"},
                        "lacks": {"enabled": True},
                    }
                )
            },
            "http://127.0.0.1:1",
        )

    found = {name: checks[f"alerts: {name}"] for name in ("works", "hangs", "lacks")}
    assert {name: check.outcome for name, check in found.items()} == {
        "works": "ok",
        "hangs": "failed",
        "lacks": "failed",
    }
    assert found["lacks"].found == "alerting.webhooks.lacks.url is not set"
    assert [got.method for got in works.got] == ["OPTIONS"]


async def test_no_check_shows_a_secret(
    mimir: tuple[Cluster, list[str]], environ: dict[str, str]
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    secret = environ | {
        "MLO_MIMIR__HEADERS": f"{{Authorization: Bearer {SECRET}}}",
        "PREFECT_API_URL": f"http://user:{SECRET}@127.0.0.1:{free_port()}/api?key={SECRET}",
    }

    checks = await examined(secret, dead, *mimir[1])

    assert SECRET not in repr(checks)
    assert checks["mimir headers"].found.startswith("Authorization sent")
    assert checks["prefect"].outcome == "failed"


@pytest.mark.parametrize(("mode", "outcome"), [("prod", "failed"), ("dry-run", "warning")])
@pytest.mark.parametrize(
    "document", ["", "overrides: {}\nmulti_kv_config: {}\n"], ids=["empty", "of someone else"]
)
async def test_a_document_that_is_not_ours_fails_where_it_would_be_written(
    environ: dict[str, str], tmp_path: Path, document: str, mode: str, outcome: str
) -> None:
    (tmp_path / "overrides.yaml").write_text(document)

    checks = await examined(environ | {"MODE": mode}, f"http://127.0.0.1:{free_port()}")

    assert checks["sink"].outcome == outcome


async def test_a_sink_that_cannot_be_read_fails_in_prod(
    environ: dict[str, str], tmp_path: Path
) -> None:
    clone = {"MLO_PUBLISH__SINK": "git", "MLO_PUBLISH__GIT__REPOSITORY": str(tmp_path)}
    said = environ | {"MODE": "prod"} | clone

    checks = await examined(said, f"http://127.0.0.1:{free_port()}")

    assert checks["sink"].outcome == "failed"
    assert "publish.git" in (checks["sink"].mend or "")


class Page(BaseHTTPRequestHandler):
    """Any program that speaks HTTP."""

    def do_GET(self) -> None:
        """Answer with an empty object."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


async def test_a_port_that_another_program_uses_is_a_failure(environ: dict[str, str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as other:
        thread = Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        taken = environ | {"MLO_SERVER__PORT": str(other.server_port)}

        checks = await examined(taken, f"http://127.0.0.1:{free_port()}")

        other.shutdown()
        thread.join()

    assert checks["http endpoint"].outcome == "failed"
    assert checks["prefect"].outcome == "ok"


async def test_a_history_that_is_no_database_is_a_failure(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "history.duckdb").write_text("no database at all\n" * 1_000)

    checks = await examined(environ, f"http://127.0.0.1:{free_port()}")

    assert checks["history"].outcome == "failed"


@pytest.mark.parametrize(
    ("package", "release"),
    [("sqlalchemy", "2.1.0"), ("fastapi", "0.151.0"), ("duckdb-extension-quack", "1.5.4")],
)
def test_a_package_that_does_not_fit_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, package: str, release: str
) -> None:
    installed = here.version

    monkeypatch.setattr(
        here, "version", lambda name: release if name == package else installed(name)
    )

    found = here.check_packages()
    assert found.outcome == "failed"
    assert f"{package} {release}" in found.found


def test_broken_settings_are_told_and_end_with_code_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("mode: prd\n")

    result = CliRunner().invoke(app, ["doctor", "--config", str(bad), "-o", "json"])

    by_name = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert by_name["settings"]["outcome"] == "failed"
    assert "mode: must be" in by_name["settings"]["found"]


def test_the_table_says_what_was_found_and_how_to_mend_it(
    environ: dict[str, str], tmp_path: Path
) -> None:
    environ["MLO_MIMIR__ENDPOINTS"] = f"http://127.0.0.1:{free_port()}"

    result = CliRunner(env=environ).invoke(app, ["doctor"])

    told = next(line for line in result.stdout.splitlines() if str(tmp_path / "over") in line)
    assert told.startswith("warning")
    assert "→ create it with the line `overrides: {}`" in told
