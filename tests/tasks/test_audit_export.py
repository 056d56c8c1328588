"""Entries reach the file whole and at least once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.audit import AuditEntry
from policy.errors import ConfigError, OptimizerError, RetriableError
from storage.audit import append_audit, export_waits
from storage.database import Database
from tasks.audit_export import ENTRIES_AT_ONCE, export_to_file
from tasks.audit_file import STDOUT, appending, older

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLENTY = 10**9
HOSTILE = "\r\n\"'<script>\x00\u2028" + "x" * 10_000
DIES_WHILE_EXPORTING = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from storage.database import Database
import storage.audit
from tasks.audit_export import export_to_file

when, url, file = sys.argv[1:]
database = Database.open(url, clock=lambda: datetime.now(UTC))

def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

if when == "after writing":
    storage.audit.write_frame = die
else:
    import tasks.audit_file
    def torn(stream, lines):
        stream.write(lines[: len(lines) - 20])
        die()
    tasks.audit_file._to_disk = torn
asyncio.run(export_to_file(database, path=Path(file), most_bytes=10**9))
"""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.open(":memory:", clock=lambda: NOON) as opened:
        yield opened


def enter(database: Database, *actions: str, **details: object) -> None:
    append_audit(
        database,
        [
            AuditEntry(
                at=NOON + n * SECOND,
                category="system",
                component="publish",
                action=action,
                actor="optimizer",
                success=True,
                tenant="acme",
                details=details,
            )
            for n, action in enumerate(actions)
        ],
    )


def told(path: Path) -> list[str]:
    return [json.loads(line)["action"] for line in path.read_bytes().split(b"\n")[:-1]]


async def export(database: Database, path: Path, *, most_bytes: int = PLENTY) -> int:
    return await export_to_file(database, path=path, most_bytes=most_bytes)


async def test_what_is_new_is_appended(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    enter(database, "one", "two")

    assert await export(database, path) == 2
    enter(database, "three")
    assert await export(database, path) == 1
    assert await export(database, path) == 0

    assert told(path) == ["one", "two", "three"]
    assert path.read_bytes().endswith(b"}\n")


async def test_more_than_a_batch_is_exported_in_one_go(database: Database, tmp_path: Path) -> None:
    names = [f"a{n}" for n in range(ENTRIES_AT_ONCE + 5)]
    enter(database, *names)

    assert await export(database, tmp_path / "audit.jsonl") == len(names)

    assert told(tmp_path / "audit.jsonl") == names


async def test_hostile_text_is_one_line_that_reads_back(database: Database, tmp_path: Path) -> None:
    enter(database, HOSTILE, reason=HOSTILE)

    await export(database, tmp_path / "audit.jsonl")

    (line,) = (tmp_path / "audit.jsonl").read_text(encoding="ascii").splitlines()
    assert json.loads(line)["action"] == json.loads(line)["details"]["reason"] == HOSTILE


async def test_a_full_file_is_put_aside_and_no_entry_is_lost(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    enter(database, "one")
    await export(database, path)
    enter(database, "two")

    await export(database, path, most_bytes=path.stat().st_size + 10)

    assert told(path) == ["two"]
    assert told(older(path)) == ["one"]


async def test_a_torn_line_of_ours_is_cut_off(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    enter(database, "one")
    await export(database, path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100_000].rstrip(b"\n")[:-7])
    enter(database, "two")

    await export(database, path)

    assert told(path) == ["one", "two"]


async def test_what_somebody_else_left_unfinished_stays(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"a note without an end")
    enter(database, "one")

    await export(database, path)

    first, second = path.read_bytes().splitlines()
    assert first == b"a note without an end"
    assert json.loads(second)["action"] == "one"


@pytest.mark.parametrize("when", ["after writing", "torn"])
async def test_whoever_is_killed_loses_no_entry_and_doubles_the_last_batch_at_most(
    tmp_path: Path, when: str
) -> None:
    url, path = str(tmp_path / "history.duckdb"), tmp_path / "audit.jsonl"
    with Database.open(url, clock=lambda: NOON) as database:
        enter(database, "one")
        await export(database, path)
        enter(database, "two", "three")

    dying = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", DIES_WHILE_EXPORTING, when, url, str(path)),
        cwd=Path(__file__).parents[2],
    )
    ended = await dying.wait()
    with Database.open(url, clock=lambda: NOON) as database:
        await export(database, path)

    assert ended == -signal.SIGKILL
    doubled = ["two", "three"] if when == "after writing" else ["two"]
    assert told(path) == ["one", *doubled, "two", "three"]


async def test_what_the_history_could_not_mark_is_taken_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a full disk beneath the history would fill the file with one batch, over and over."""
    path = tmp_path / "audit.jsonl"
    enter(database, "one")
    await export(database, path)
    enter(database, "two")

    def full(*_: object) -> None:
        raise RetriableError("the history cannot be written")

    with monkeypatch.context() as broken:
        broken.setattr("storage.audit.write_frame", full)
        for _ in range(3):
            with pytest.raises(RetriableError):
                await export(database, path)
    assert told(path) == ["one"]

    await export(database, path)
    assert told(path) == ["one", "two"]


async def test_what_does_not_fit_on_the_disk_leaves_no_torn_line_and_waits(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    enter(database, "one")
    await export(database, path)
    enter(database, "two", text="x" * 5_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
    try:
        with pytest.raises(OptimizerError, match=r"audit\.jsonl cannot be written"):
            await export(database, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)

    assert told(path) == ["one"]
    assert export_waits(database)


async def test_a_dash_is_stdout(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    enter(database, "one")

    await export(database, STDOUT)

    assert json.loads(capsys.readouterr().out)["action"] == "one"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/audit.jsonl", "its folder does not exist; make it"),
        ("folder", "is no file; name a file"),
        ("pipe", "is no file; name a file"),
        ("file/audit.jsonl", "cannot be written"),
    ],
)
async def test_a_place_that_cannot_be_written_is_one_line_and_the_entries_wait(
    database: Database, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    enter(database, "one")

    with pytest.raises(ConfigError, match=words) as refusal:
        await export(database, tmp_path / name)

    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("auditLog.file ")
    assert export_waits(database)


def test_a_link_stays_and_what_it_points_at_is_written_and_put_aside(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "audit.jsonl", tmp_path / "real" / "audit.jsonl"
    link.symlink_to(real)

    for line in (b"1\n", b"2\n"):
        with appending(link, line, most_bytes=2):
            pass

    assert link.is_symlink()
    assert real.read_bytes() == b"2\n"
    assert older(real).read_bytes() == b"1\n"
