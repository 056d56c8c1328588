"""A written revision is confirmed, put back or given up on, and never judged by another's signs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from policy.document import parse, render
from policy.frames import CHANGES, COMPOSED, LIMITS, READINGS, empty
from policy.scrape import RELOAD_SUCCESSFUL, RUNTIME_HASH, Scrape
from policy.settings import parse_settings
from storage.database import Database
from storage.revisions import Intent, begin_revision, finish_revision, get_revision, newest_revision
from tasks.settle import Desk, Settled, settle, waiting_revision
from tasks.sinks import FileSink
from tasks.verify import Before

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATE = "ingestion_rate"
PODS = ("http://mimir-0", "http://mimir-1")


def document(value: float) -> bytes:
    return render(pl.DataFrame([("a", RATE, value)], schema=LIMITS, orient="row"))


GOOD, NEW, LATER = document(12_000), document(13_000), document(14_000)


class Bench:
    """A confirmed revision, a newer one that waits, and a Mimir that says what it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        self.database = Database.open(":memory:", clock=lambda: self.now)
        self.sink: FileSink | None = FileSink(folder / "overrides.yaml")
        self.path = folder / "overrides.yaml"
        self.says = NEW
        self.settings = parse_settings({"mimir": {"endpoints": list(PODS)}})
        transport = httpx.MockTransport(self.answer)
        monkeypatch.setattr(
            "tasks.settle.client_of", lambda _: httpx.AsyncClient(transport=transport)
        )
        finish_revision(
            self.database,
            revision=self.write(GOOD),
            outcome="confirmed",
            detail="",
            evidence={},
            at=self.now,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/runtime_config"
        overrides = {tenant: {limit: value} for tenant, limit, value in parse(self.says).rows()}
        return httpx.Response(200, text=json.dumps({"overrides": overrides}))

    def write(self, content: bytes) -> int:
        intent = Intent(
            run_id="r",
            actor="optimizer",
            sink="the file",
            document=content.decode(),
            changes=empty(CHANGES),
            composed=empty(COMPOSED),
        )
        self.path.write_bytes(content)
        return begin_revision(self.database, intent, at=self.now)

    async def look(
        self,
        *hashes: str,
        after: float = 15,
        refusing: tuple[str, ...] = (),
        failed: tuple[str, ...] = (),
        before: Before | None = None,
    ) -> Settled | None:
        """Let time pass and judge the newest revision by what the pods say then."""
        self.now += after * SECOND
        waiting = waiting_revision(newest_revision(self.database), now=self.now)
        assert waiting is not None
        return await settle(
            waiting,
            seen=self.scrape(hashes, refusing=refusing, failed=failed),
            settings=self.settings,
            desk=None if self.sink is None else Desk(sink=self.sink, open=self.sink.read),
            before=before,
            database=self.database,
            clock=lambda: self.now,
        )

    def scrape(
        self, hashes: tuple[str, ...], *, refusing: tuple[str, ...], failed: tuple[str, ...]
    ) -> Scrape:
        answered = tuple(pod for pod in PODS if pod not in failed)
        rows = [
            {"at": self.now, "pod": pod, "family": family, "sha256": sha256, "value": value}
            for pod, sha256 in zip(answered, hashes, strict=True)
            for family, value in (
                (RELOAD_SUCCESSFUL, 0.0 if pod in refusing else 1.0),
                (RUNTIME_HASH, 1.0),
            )
        ]
        return Scrape(
            at=self.now,
            readings=pl.DataFrame(rows, schema=READINGS),
            answered=answered,
            failed=dict.fromkeys(failed, "it did not answer"),
            addresses={pod: pod for pod in PODS},
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.database.close()


def before(bench: Bench, *, refusing: tuple[str, ...] = ()) -> Before:
    newest = newest_revision(bench.database)
    assert newest is not None
    return Before(
        revision=newest.revision,
        hashes=dict.fromkeys(PODS, "old"),
        refusing=frozenset(refusing),
    )


async def test_what_every_process_has_loaded_is_confirmed(bench: Bench) -> None:
    revision = bench.write(NEW)

    settled = await bench.look("new", "new", before=before(bench))

    assert settled is not None
    assert settled.outcome == "confirmed"
    assert get_revision(bench.database, revision).outcome == "confirmed"
    assert waiting_revision(newest_revision(bench.database), now=bench.now) is None


async def test_a_refused_document_is_put_back(bench: Bench) -> None:
    bench.write(NEW)
    bench.says = GOOD

    settled = await bench.look("old", "old", refusing=PODS[:1], before=before(bench))

    assert settled is not None
    assert settled.outcome == "reverted"
    assert bench.path.read_bytes() == GOOD


async def test_in_a_dry_run_nothing_is_put_back_and_that_is_said(bench: Bench) -> None:
    bench.write(NEW)
    bench.sink = None

    settled = await bench.look("old", "old", refusing=PODS[:1])

    assert settled is not None
    assert settled.outcome == "failed"
    assert settled.line.endswith("nothing is written in a dry run: put revision 1 back")
    assert bench.path.read_bytes() == NEW


async def test_what_somebody_else_wrote_is_not_overwritten_by_putting_back(bench: Bench) -> None:
    bench.write(NEW)
    bench.path.write_bytes(b"theirs")

    settled = await bench.look("old", "old", refusing=PODS[:1])

    assert settled is not None
    assert settled.outcome == "failed"
    assert bench.path.read_bytes() == b"theirs"


async def test_a_run_that_died_after_putting_back_is_finished_by_the_next(bench: Bench) -> None:
    bench.write(NEW)
    bench.path.write_bytes(GOOD)

    settled = await bench.look("old", "old", refusing=PODS[:1])

    assert settled is not None
    assert settled.outcome == "reverted"


async def test_a_look_from_before_the_writing_says_nothing(bench: Bench) -> None:
    """Another flow may write between the scrape of `protect` and its judgement."""
    bench.write(NEW)

    assert await bench.look("old", "old", refusing=PODS, after=0) is None


async def test_a_process_that_refused_before_has_until_its_next_reload(bench: Bench) -> None:
    """It says so until it reloads, and then of the new document."""
    bench.write(NEW)
    known = before(bench, refusing=PODS[:1])

    assert await bench.look("old", "old", refusing=PODS[:1], before=known) is None
    settled = await bench.look("new", "new", before=known)

    assert settled is not None
    assert settled.outcome == "confirmed"


async def test_a_process_that_goes_on_refusing_has_refused_this_one_too(bench: Bench) -> None:
    bench.write(NEW)
    known = before(bench, refusing=PODS[:1])

    settled = await bench.look("old", "old", after=91, refusing=PODS[:1], before=known)

    assert settled is not None
    assert settled.outcome == "reverted"


async def test_a_file_that_came_late_is_not_taken_for_the_newest(bench: Bench) -> None:
    """
    A ConfigMap takes a minute to reach the pods: what they load first is the one before.
    """
    bench.write(NEW)
    bench.now += 15 * SECOND
    bench.write(LATER)
    known = before(bench)

    assert await bench.look("middle", "middle", before=known) is None
    bench.says = LATER
    settled = await bench.look("late", "late", after=60, before=known)

    assert settled is not None
    assert settled.outcome == "confirmed"


async def test_a_new_file_that_says_something_else_is_put_back_when_it_is_overdue(
    bench: Bench,
) -> None:
    bench.write(NEW)
    bench.says = GOOD

    settled = await bench.look("new", "new", after=91, before=before(bench))

    assert settled is not None
    assert settled.outcome == "reverted"


async def test_what_was_known_of_another_revision_proves_nothing(bench: Bench) -> None:
    bench.write(NEW)
    bench.says = GOOD
    stranger = Before(revision=99, hashes=dict.fromkeys(PODS, "old"), refusing=frozenset())

    settled = await bench.look("new", "new", after=91, before=stranger)

    assert settled is not None
    assert settled.outcome == "inconclusive"
    assert bench.path.read_bytes() == NEW


async def test_a_silent_process_leaves_it_open_and_is_said_once(bench: Bench) -> None:
    revision = bench.write(NEW)
    silent = PODS[1:]

    assert await bench.look("new", failed=silent) is None
    given_up = await bench.look("new", after=80, failed=silent)
    assert given_up is not None
    assert given_up.outcome == "inconclusive"
    assert await bench.look("new", failed=silent) is None
    assert get_revision(bench.database, revision).outcome == "inconclusive"


async def test_a_silent_process_that_comes_back_still_proves_or_refuses_it(bench: Bench) -> None:
    bench.write(NEW)
    await bench.look("new", after=100, failed=PODS[1:])

    settled = await bench.look("new", "old", refusing=PODS[1:])

    assert settled is not None
    assert settled.outcome == "reverted"
    assert bench.path.read_bytes() == GOOD


async def test_after_an_hour_a_revision_that_was_given_up_on_rests(bench: Bench) -> None:
    bench.write(NEW)
    await bench.look("new", after=100, failed=PODS[1:])

    assert (
        waiting_revision(newest_revision(bench.database), now=bench.now + timedelta(hours=1))
        is None
    )


def test_nothing_waits_before_the_first_revision() -> None:
    with Database.open(":memory:", clock=lambda: NOON) as database:
        assert waiting_revision(newest_revision(database), now=NOON) is None
