"""A process is killed at each step of a publication: the next one ends it, and nothing is lost.

Real processes, SIGKILL, and a Kubernetes API over HTTP that kills them at a given request, before
it does what was asked or after.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from kmock import RawHandler

from policy.document import parse, render
from policy.frames import LAYERS, LIMITS, empty
from storage.database import Database
from storage.layers import replace_layer
from storage.revisions import get_revision, list_revisions
from tasks.config_map import MANAGER
from tests.fake_kubernetes import FakeKubernetes, kubeconfig
from tests.flows.publisher import publish_once

pytestmark = [pytest.mark.kmock(cls=RawHandler), pytest.mark.timeout(180)]

CONFIG_MAP = "/api/v1/namespaces/mimir-system/configmaps/mimir-runtime-overrides"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/mimir-system/leases/mimir-limit-optimizer"
KEY = "overrides.yaml"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WANTED = {("a", "ingestion_rate"): 5_000.0, ("b", "max_global_series_per_user"): 70_000.0}
FOREIGN = {"notes.txt": "theirs"}
SECONDS = 60.0

Steps = list[tuple[str, str]]
Limits = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history whose layers say what is wanted."""
    return remembering(WANTED, tmp_path_factory.mktemp("history") / "history.duckdb")


def remembering(wanted: Limits, path: Path) -> Path:
    rows = [
        (tenant, limit, "pin", "set", value, "wanted", '{"by": "anna"}', NOON, None)
        for (tenant, limit), value in wanted.items()
    ]
    with Database.open(str(path), clock=lambda: NOON) as database:
        layer = pl.DataFrame(rows, schema=LAYERS, orient="row")
        replace_layer(database, "pin", layer, run_id="r")
    return path


@pytest.fixture(scope="module")
def forked() -> Iterator[Callable[..., Any]]:
    """Starts processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flows.publisher", "kubernetes.client"])

    def start(url: Path, tree: dict[str, object]) -> Any:  # noqa: ANN401 - multiprocessing's
        process = context.Process(target=publish_once, args=(str(url), tree), daemon=True)
        process.start()
        return process

    return start


@pytest.fixture
def url(history: Path, tmp_path: Path) -> Path:
    return shutil.copy(history, tmp_path / "history.duckdb")


def limits(document: bytes) -> Limits:
    return {(tenant, limit): value for tenant, limit, value in parse(document).iter_rows()}


def revisions(url: Path) -> list[str]:
    """What became of each revision that wants what is wanted, oldest first."""
    with Database.open(str(url), clock=lambda: NOON) as database:
        rows = list_revisions(database)
        return [
            row["outcome"]
            for row in rows.reverse().iter_rows(named=True)
            if limits(get_revision(database, row["revision"]).document.encode()) == WANTED
        ]


async def ended(process: Any) -> int:  # noqa: ANN401 - multiprocessing's
    await asyncio.to_thread(process.join, SECONDS)
    assert process.exitcode is not None, "it does not end"
    code: int = process.exitcode
    return code


@pytest.mark.parametrize("made", [True, False], ids=["there", "absent"])
async def test_killed_at_any_request_the_next_process_ends_it_once(
    kmock: RawHandler,
    forked: Callable[..., Any],
    url: Path,
    history: Path,
    tmp_path: Path,
    *,
    made: bool,
) -> None:
    """
    However far it had come: what is wanted stands there, was written once, and theirs is untouched.
    """
    api = FakeKubernetes(kmock)
    tree: dict[str, object] = {
        "mode": "prod",
        "mimir": {"timeout": "5s"},
        "publish": {"sink": "configmap"},
        "metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))},
    }

    def anew() -> None:
        api.kept.clear()
        api.written.clear()
        api.asked.clear()
        shutil.copy(history, url)
        for left in (url.with_name(f"{url.name}.wal"),):
            left.unlink(missing_ok=True)
        if made:
            api.put(CONFIG_MAP, data={**FOREIGN, KEY: render(empty(LIMITS)).decode()})

    anew()
    assert await ended(forked(url, tree)) == 0
    steps: Steps = list(api.asked)
    assert {method for method, _ in steps} >= {"GET", "PUT", "POST"}

    for number in range(len(steps)):
        for when in ("before", "after"):
            anew()
            killed = await _killed_at(api, number, when=when, start=lambda: forked(url, tree))
            assert killed == -signal.SIGKILL, steps[number]
            theirs = dict(api.kept.get(CONFIG_MAP, {}).get("data", {}))

            assert await ended(forked(url, tree)) == 0

            found = api.kept[CONFIG_MAP]["data"]
            wanted = [
                kept
                for path, kept in api.written
                if path == CONFIG_MAP and limits(kept["data"][KEY].encode()) == WANTED
            ]
            assert limits(found[KEY].encode()) == WANTED, (steps[number], when)
            assert len({kept["data"][KEY] for kept in wanted}) == 1
            assert sum(_changed_the_document(api, kept) for kept in wanted) == 1
            assert {name: found[name] for name in FOREIGN if made} == (FOREIGN if made else {})
            assert not theirs or limits(theirs[KEY].encode()) in ({}, WANTED), "never a part"
            assert revisions(url)[-1] in {"intended", "inconclusive"}


async def _killed_at(
    api: FakeKubernetes,
    number: int,
    *,
    when: Literal["before", "after"],
    start: Callable[[], Any],
) -> int:
    """Kill the process that asks, at its request of this number."""
    asked = 0
    process: Any = None

    def kill(_method: str, _path: str) -> None:
        nonlocal asked
        asked += 1
        if asked == number + 1:
            os.kill(process.pid, signal.SIGKILL)

    setattr(api, when, kill)
    process = start()
    code = await ended(process)
    setattr(api, when, lambda _method, _path: None)
    return code


def _changed_the_document(api: FakeKubernetes, kept: dict[str, Any]) -> bool:
    """Whether this write was the one that put the document there."""
    versions = [each for path, each in api.written if path == CONFIG_MAP]
    place = versions.index(kept)
    before = versions[place - 1]["data"].get(KEY) if place else None
    return bool(kept["data"][KEY] != before)


@pytest.mark.parametrize("milliseconds", range(0, 400, 50))
async def test_killed_at_any_moment_the_file_is_whole_and_the_next_process_ends_it(
    forked: Callable[..., Any], url: Path, tmp_path: Path, milliseconds: int
) -> None:
    file = tmp_path / "overrides.yaml"
    file.write_bytes(render(empty(LIMITS)))
    tree: dict[str, object] = {"mode": "prod", "publish": {"file": {"path": str(file)}}}

    process = forked(url, tree)
    await asyncio.to_thread(process.join, milliseconds / 1000)
    process.kill()
    await ended(process)
    then = limits(file.read_bytes())
    assert await ended(forked(url, tree)) == 0

    assert then in ({}, WANTED), "never a part"
    assert limits(file.read_bytes()) == WANTED


async def test_a_process_that_was_stopped_writes_nothing_after_it_lost_its_lease(
    kmock: RawHandler, forked: Callable[..., Any], url: Path, tmp_path: Path
) -> None:
    """It has looked, and is about to write, when it is stopped; meanwhile another one took over."""
    api = FakeKubernetes(kmock)
    tree: dict[str, object] = {
        "mode": "prod",
        "mimir": {"timeout": "5s"},
        "publish": {"sink": "configmap"},
        "metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))},
    }
    api.put(CONFIG_MAP, data={KEY: render(empty(LIMITS)).decode()})
    stopped, process = asyncio.Event(), None

    def stop(method: str, path: str) -> None:
        if (method, path) == ("PATCH", CONFIG_MAP) and not stopped.is_set():  # it left its epoch
            os.kill(process.pid, signal.SIGSTOP)
            stopped.set()

    api.after = stop
    process = forked(url, tree)
    async with asyncio.timeout(SECONDS):
        await stopped.wait()
    api.put(LEASE, spec={"holderIdentity": "pod-b", "leaseTransitions": 9})
    theirs = {"mimir-limit-optimizer/epoch": "9", "mimir-limit-optimizer/writer": MANAGER}
    document = 'overrides:\n  "a":\n    ingestion_rate: 7\n'
    api.put(CONFIG_MAP, metadata={"annotations": theirs}, data={KEY: document})
    written = len(api.written)
    os.kill(process.pid, signal.SIGCONT)

    assert await ended(process) == 0
    assert api.kept[CONFIG_MAP]["data"] == {KEY: document}
    assert len(api.written) == written


@pytest.mark.parametrize("trial", range(5))
async def test_of_two_that_publish_at_once_one_writes_after_the_other_or_not_at_all(
    kmock: RawHandler,
    forked: Callable[..., Any],
    url: Path,
    tmp_path: Path,
    trial: int,
) -> None:
    """What stands there is what one of them wants, whole, or the second's over the first's.

    Each knows nothing of the other's: what it finds and did not write is somebody's, and stays.
    """
    api = FakeKubernetes(kmock)
    other = {("a", "ingestion_rate"): 9_000.0 + trial}
    elsewhere = remembering(other, tmp_path / "other.duckdb")
    tree: dict[str, object] = {
        "mode": "prod",
        "mimir": {"timeout": "5s"},
        "publish": {"sink": "configmap"},
        "metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, str(kmock.url)))},
    }
    api.put(CONFIG_MAP, data={**FOREIGN, KEY: render(empty(LIMITS)).decode()})

    both = [forked(url, tree), forked(elsewhere, tree)]
    codes = [await ended(process) for process in both]

    written = [kept["data"] for path, kept in api.written if path == CONFIG_MAP]
    seen = [limits(data[KEY].encode()) for data in written]
    whole = (WANTED, other, WANTED | other)
    assert codes.count(0) >= 1
    assert all(found in ({}, *whole) for found in seen), seen
    assert seen[-1] in whole
    assert all(data["notes.txt"] == "theirs" for data in written)
