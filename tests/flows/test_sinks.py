"""The loop closed through each sink: written, loaded, proven, and nothing written without news."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deployments.document import DOCUMENT_PATH, ServedDocument
from flows.optimize import optimize
from flows.protect import protect
from policy.document import parse

INTERVAL = 15.0  # seconds between two runs of protect
QUIET_CYCLES = 10
RATE = "ingestion_rate"

NewWorld = Callable[..., Any]
BEGUN = [("found", "confirmed"), ("optimizer", "intended")]
CONFIRMED = [("found", "confirmed"), ("optimizer", "confirmed")]


@dataclass
class Way:
    """How what a sink holds reaches the file that the simulated Mimir reads."""

    world: Any
    deliver: Callable[[], None]

    async def run(self, flow: Any, *, after: float = INTERVAL) -> list[str]:  # noqa: ANN401 - a flow
        self.deliver()
        said: list[str] = await self.world.run(flow, after=after)
        return said

    async def quiet(self) -> None:
        """Runs without any news."""
        for cycle in range(QUIET_CYCLES):
            await self.run(optimize if cycle % 5 == 4 else protect)

    def loaded(self) -> float:
        value: float = self.world.loaded("bursty-1")
        return value


async def test_over_http_a_document_is_published_confirmed_and_left_alone(
    new_world: NewWorld, tmp_path: Path
) -> None:
    kept = tmp_path / "served.yaml"
    publish = {"sink": "http", "file": {"path": str(kept)}}
    world = new_world(tree={"mode": "prod", "publish": publish})
    served = ServedDocument(kept)
    fetch = lambda: world.file.write_bytes(served.answer("GET", path=DOCUMENT_PATH)[2])  # noqa: E731
    way = Way(world=world, deliver=fetch)

    for flow in (protect, optimize, protect):
        await way.run(flow)
    written = kept.stat().st_mtime_ns
    await way.quiet()

    assert world.revisions() == CONFIRMED
    assert way.loaded() == values(kept.read_bytes())["bursty-1", RATE]
    assert kept.stat().st_mtime_ns == written


@dataclass
class OverridesApi:
    """Cortex's overrides API over a file that the simulated processes read."""

    file: Path
    written: list[str] = field(default_factory=list)

    def answer(self, method: str, tenant: str, body: bytes) -> tuple[int, bytes]:
        held = json.loads(self.file.read_text()) if self.file.exists() else {}
        if method == "GET":
            known = json.dumps(held[tenant]).encode() if tenant in held else b"user not found"
            return (200 if tenant in held else 400), known
        self.written.append(tenant)
        if method == "DELETE":
            held.pop(tenant, None)
        else:
            held[tenant] = held.get(tenant, {}) | json.loads(body)
        self.file.write_text(json.dumps(held))
        return 200, b""


@contextmanager
def listening(api: OverridesApi) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = api.answer(self.command, self.headers["X-Scope-OrgID"], body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_through_cortex_limits_are_published_confirmed_and_left_alone(
    new_world: NewWorld, tmp_path: Path
) -> None:
    api = OverridesApi(tmp_path / "bucket.json")
    with listening(api) as url:
        # One at a time, because the bucket of this test is a file without a lock.
        cortex = {"url": url, "state": str(tmp_path / "claims.json"), "concurrency": 1}
        publish = {"sink": "cortex-api", "cortexApi": cortex}
        world = new_world(tree={"mode": "prod", "publish": publish})

        def load() -> None:
            held = json.loads(api.file.read_text()) if api.file.exists() else {}
            world.file.write_text(json.dumps({"overrides": held}))

        way = Way(world=world, deliver=load)
        for flow in (protect, optimize, protect):
            await way.run(flow)
        written = list(api.written)
        await way.quiet()

    assert world.revisions() == CONFIRMED
    assert way.loaded() == json.loads(api.file.read_text())["bursty-1"][RATE]
    assert written
    assert api.written == written


async def test_in_git_a_change_waits_for_a_person_and_is_confirmed_when_it_is_merged(
    new_world: NewWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "overrides.yaml").write_text("overrides: {}\n")
    git(clone, "init", "-q", "-b", "main")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "first")
    publish = {"sink": "git", "git": {"repository": str(clone)}}
    world = new_world(tree={"mode": "prod", "publish": publish})
    merged = clone / "overrides.yaml"
    way = Way(world=world, deliver=lambda: world.file.write_bytes(merged.read_bytes()))

    for flow in (protect, optimize):
        await way.run(flow)
    proposed = git(clone, "rev-parse", "mimir-limits")
    await way.quiet()

    assert world.revisions() == BEGUN, "it waits, and is no failure"
    assert git(clone, "rev-parse", "mimir-limits") == proposed

    git(clone, "merge", "-q", "--ff-only", "mimir-limits")
    said = await way.run(protect)

    assert said[0].startswith("revision 2 confirmed")
    assert way.loaded() == values(merged.read_bytes())["bursty-1", RATE]


def git(clone: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A Person", "-c", "user.email=person@example.com")
    done = subprocess.run(
        ["git", "-C", str(clone), *who, *arguments], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def values(document: bytes) -> dict[tuple[str, str], float]:
    return {(tenant, limit): value for tenant, limit, value in parse(document).rows()}
