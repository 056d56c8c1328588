"""What is written, what is refused, and what the history says of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from policy.document import render
from policy.effective import as_optimized
from policy.errors import ConfigError, Conflict
from policy.frames import LIMITS, empty
from policy.layers import Bounds
from policy.plan import Plan, Terms, plan
from storage.audit import read_audit
from storage.database import Database
from storage.revisions import finish_revision, newest_revision
from tasks.publish import Publication, last_written, publish, standing
from tasks.sinks import FileSink

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RATE = "ingestion_rate"
KNOWN = frozenset({RATE})


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def planned(value: float, *, stands: pl.DataFrame | None = None) -> Plan:
    return plan(
        as_optimized(limits(("a", RATE, value)), reason="measured", written_at=NOON),
        observed=limits(("", RATE, 10_000)),
        standing=empty(LIMITS) if stands is None else stands,
        bounds=Bounds(),
        terms=Terms(known=KNOWN),
        now=NOON,
    )


class Desk:
    """A history, a file, and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.database = Database.open(":memory:", clock=lambda: self.now)
        self.path = folder / "overrides.yaml"
        self.sink: FileSink | None = FileSink(self.path)

    async def publish(self, value: float, *, audit: bool = True) -> Publication:
        held, stands = standing(self.sink, database=self.database)
        return await publish(
            planned(value, stands=stands),
            sink=self.sink,
            held=held,
            database=self.database,
            run_id="r",
            clock=lambda: self.now,
            audit=audit,
        )

    def finish(self, revision: int | None, outcome: str, detail: str = "it was so") -> None:
        assert revision is not None
        finish_revision(
            self.database,
            revision=revision,
            outcome=outcome,  # type: ignore[arg-type]
            detail=detail,
            evidence={},
            at=self.now,
        )

    def outcome(self) -> str:
        newest = newest_revision(self.database)
        assert newest is not None
        return newest.outcome


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


async def test_a_change_is_written_and_waits_for_its_proof(desk: Desk) -> None:
    publication = await desk.publish(12_000)

    assert publication.outcome == "written"
    assert desk.path.read_bytes() == planned(12_000).document
    assert desk.outcome() == "intended"
    audited = read_audit(desk.database, since=NOON)
    assert audited.select("tenant", "action").rows() == [("a", "limit_changed")]


async def test_what_stands_already_is_not_written(desk: Desk) -> None:
    first = await desk.publish(12_000)

    assert (await desk.publish(12_000)).outcome == "nothing"
    newest = newest_revision(desk.database)
    assert newest is not None
    assert newest.revision == first.revision


async def test_a_dry_run_tells_and_leaves_nothing_behind(desk: Desk) -> None:
    desk.sink = None

    publication = await desk.publish(12_000)

    assert publication.outcome == "would"
    assert publication.changes["after"].to_list() == [12_000]
    assert newest_revision(desk.database) is None
    assert not desk.path.exists()


async def test_a_dry_run_starts_from_what_was_left_in_place(desk: Desk) -> None:
    await desk.publish(12_000)
    desk.sink = None

    assert (await desk.publish(12_000)).outcome == "nothing"
    assert (await desk.publish(13_000)).changes["before"].to_list() == [12_000]


async def test_a_file_changed_since_the_plan_is_a_conflict_and_stays(desk: Desk) -> None:
    held, stands = standing(desk.sink, database=desk.database)
    desk.path.write_bytes(b"overrides: {b: {ingestion_rate: 5}}\n")

    with pytest.raises(Conflict):
        await publish(
            planned(12_000, stands=stands),
            sink=desk.sink,
            held=held,
            database=desk.database,
            run_id="r",
            clock=lambda: desk.now,
        )

    assert desk.path.read_bytes() == b"overrides: {b: {ingestion_rate: 5}}\n"
    assert newest_revision(desk.database) is None, "nothing of it is kept"
    assert (await desk.publish(12_000)).outcome == "written", "it was not written, so not refused"


async def test_what_cannot_be_written_is_tried_three_times_and_then_every_five_minutes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try keeps its document: they must not fill the disk."""

    def refuse(*_: object, **__: object) -> str:
        raise ConfigError("the right is missing")

    async def tried() -> str:
        desk.now += timedelta(seconds=15)
        try:
            found = await desk.publish(12_000)
        except ConfigError:
            return "tried"
        return "; ".join(found.problems)

    monkeypatch.setattr(FileSink, "write", refuse)
    first = [await tried() for _ in range(5)]
    desk.now += timedelta(minutes=5)
    later = [await tried() for _ in range(2)]
    monkeypatch.undo()
    desk.now += timedelta(minutes=5)

    waits = "not written: the right is missing; tried every 5 minutes"
    assert first == ["tried"] * 3 + [f"revision 3 was {waits}"] * 2
    assert later == ["tried", f"revision 4 was {waits}"]
    assert (await desk.publish(12_000)).outcome == "written"


async def test_a_plan_with_a_problem_is_refused_whole(desk: Desk) -> None:
    held, stands = standing(desk.sink, database=desk.database)
    wrong = plan(
        as_optimized(limits(("a|b", RATE, 5)), reason="measured", written_at=NOON),
        observed=empty(LIMITS),
        standing=stands,
        bounds=Bounds(),
        terms=Terms(known=KNOWN),
        now=NOON,
    )

    publication = await publish(
        wrong,
        sink=desk.sink,
        held=held,
        database=desk.database,
        run_id="r",
        clock=lambda: desk.now,
    )

    assert publication.outcome == "refused"
    assert publication.problems[0].startswith("tenant a|b, ingestion_rate: this is no tenant id")
    assert not desk.path.exists()


async def test_a_refused_document_is_not_written_again_even_after_another_one(desk: Desk) -> None:
    refused = await desk.publish(12_000)
    desk.path.unlink()
    desk.finish(refused.revision, "reverted")
    desk.finish((await desk.publish(13_000)).revision, "confirmed")

    again = await desk.publish(12_000)

    assert again.outcome == "refused"
    assert again.problems == (
        f"revision {refused.revision} had the same content and failed: it was so",
    )


async def test_a_refused_document_is_tried_again_after_an_hour(desk: Desk) -> None:
    desk.finish((await desk.publish(12_000)).revision, "reverted")
    desk.path.unlink()

    desk.now += timedelta(minutes=59)
    assert (await desk.publish(12_000)).outcome == "refused"
    desk.now += timedelta(minutes=2)
    assert (await desk.publish(12_000)).outcome == "written"


async def test_a_newer_document_ends_the_waiting_of_the_older(desk: Desk) -> None:
    first = await desk.publish(12_000)
    await desk.publish(13_000)

    outcomes = desk.database.cursor().execute(
        "select outcome from revisions where revision = ?", [first.revision]
    )
    assert outcomes.fetchone() == ("inconclusive",)


async def test_what_was_taken_back_was_not_written_last(desk: Desk) -> None:
    desk.finish((await desk.publish(12_000)).revision, "confirmed")
    desk.finish((await desk.publish(13_000)).revision, "reverted")

    assert last_written(desk.database).rows() == [("a", RATE, 12_000)]


def test_nothing_was_written_last_before_the_first_revision(desk: Desk) -> None:
    assert last_written(desk.database).equals(empty(LIMITS))


async def test_the_audit_log_can_be_off(desk: Desk) -> None:
    await desk.publish(12_000, audit=False)

    assert read_audit(desk.database, since=NOON).is_empty()


@pytest.mark.parametrize("found", [b"", b" \n", render(empty(LIMITS))])
def test_an_empty_file_says_nothing(desk: Desk, found: bytes) -> None:
    desk.path.write_bytes(found)

    assert standing(desk.sink, database=desk.database)[1].is_empty()


def test_a_file_that_holds_more_than_overrides_is_not_ours(desk: Desk) -> None:
    desk.path.write_bytes(b"ingester_limits: {max_series: 5}\n")

    with pytest.raises(ConfigError, match="it is left alone: point publish at a file of its own"):
        standing(desk.sink, database=desk.database)
