"""Threads share the history, readers of the snapshot disturb nobody, death loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from policy.frames import CHANGES, COMPOSED, LAYERS, LIMITS, SAMPLES, empty
from storage.client import query
from storage.database import Database
from storage.layers import replace_layer
from storage.limits import observe_limits
from storage.maintenance import apply_retention, snapshot
from storage.revisions import Intent, begin_revision, finish_revision
from storage.rollups import roll_up
from storage.samples import append_samples, latest
from storage.tenants import seen

SUSTAINED = timedelta(minutes=35)
DIES_IN_A_TRANSACTION = """
import sys
from datetime import UTC, datetime
from storage.client import query
from storage.database import Database

database = Database.open(sys.argv[1], clock=lambda: datetime.now(UTC))
with database.transaction() as cursor:
    cursor.execute("insert into tenants by name select 'kept' as tenant, now() as first_seen, "
                   "now() as last_seen")
with database.transaction() as cursor:
    cursor.execute("insert into tenants by name select 'lost' as tenant, now() as first_seen, "
                   "now() as last_seen")
    print("ready", flush=True)
    sys.stdin.read()
"""


TABLES = ("samples", "rollups_5m", "peaks_hourly", "tenants", "limits_observed", "revisions")
LIMIT = pl.DataFrame([("", "ingestion_rate", 1.0)], schema=LIMITS, orient="row")
INTENT = Intent(
    run_id="r1",
    actor="mlo",
    sink="file",
    document="overrides: {}",
    changes=empty(CHANGES),
    composed=empty(COMPOSED),
)


def contents(database: Database, table: str) -> list[tuple[object, ...]]:
    return database.cursor().execute(f"from {table} order by all").pl().rows()


def one_sample(tenant: str, at: datetime) -> pl.DataFrame:
    return pl.DataFrame([[at, tenant, "ingestion_rate", 1.0, 1.0]], schema=SAMPLES, orient="row")


def test_a_killed_process_leaves_what_was_committed_and_no_lock(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DIES_IN_A_TRANSACTION, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGKILL)

    assert query(str(path), "select tenant from tenants").rows() == [("kept",)]
    with Database.open(str(path), clock=lambda: datetime.now(UTC)) as database:
        survivors = database.cursor().execute("select tenant from tenants").fetchall()

    assert survivors == [("kept",)]


def test_every_kind_of_write_survives_a_crash(owned: Database, path: Path, now: datetime) -> None:
    """
    What a dead process leaves is the file and its write-ahead log; the log must replay.
    """
    append_samples(owned, one_sample("t1", now))
    roll_up(owned, now=now + timedelta(hours=1), sustained_for=SUSTAINED)
    append_samples(owned, one_sample("t1", now))
    apply_retention(owned, now=now + timedelta(hours=1), sustained_for=SUSTAINED)
    for last_seen in (now, now + timedelta(hours=1)):
        seen(owned, ["t1"], at=last_seen)
        observe_limits(owned, LIMIT, at=now)
        replace_layer(owned, "pin", empty(LAYERS), run_id="r1")
        revision = begin_revision(owned, INTENT, at=now)
        finish_revision(
            owned, revision=revision, outcome="confirmed", detail="", evidence={}, at=now
        )
    before = {table: contents(owned, table) for table in TABLES}

    crashed = path.with_name("crashed.duckdb")
    shutil.copyfile(path, crashed)
    shutil.copyfile(f"{path}.wal", f"{crashed}.wal")

    with Database.open(str(crashed), clock=lambda: now) as database:
        assert {table: contents(database, table) for table in TABLES} == before


def test_four_threads_append_and_read_at_once(database: Database, now: datetime) -> None:
    """
    Every append is kept, and a reader sees whole appends only.
    """
    appends = 25

    def work(tenant: str) -> int:
        for second in range(appends):
            append_samples(database, one_sample(tenant, now + timedelta(seconds=second)))
        return latest(database, since=now).filter(pl.col("tenant") == tenant).height

    with ThreadPoolExecutor(max_workers=4) as pool:
        own_rows = list(pool.map(work, ["t1", "t2", "t3", "t4"]))

    stored = database.cursor().execute("select count(*) from samples").fetchall()
    assert own_rows == [1, 1, 1, 1]
    assert stored == [(4 * appends,)]


def test_threads_have_cursors_of_their_own(database: Database) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        other = pool.submit(database.cursor).result()

    assert other is not database.cursor()
    assert database.cursor() is database.cursor()


def test_a_reader_of_the_snapshot_never_blocks_the_writer(owned: Database, now: datetime) -> None:
    """
    The reader keeps what it opened, and the next reader sees the next snapshot.
    """
    append_samples(owned, one_sample("t1", now))
    first = duckdb.connect(snapshot(owned), read_only=True)
    first.begin()
    assert first.execute("select count(*) from samples").fetchall() == [(1,)]

    append_samples(owned, one_sample("t2", now))
    target = snapshot(owned)

    assert first.execute("select count(*) from samples").fetchall() == [(1,)]
    first.close()
    with duckdb.connect(target, read_only=True) as second:
        assert second.execute("select count(*) from samples").fetchall() == [(2,)]


def test_a_snapshot_has_the_views_and_their_comments(owned: Database) -> None:
    views = "select view_name, comment from duckdb_views() where not internal order by all"

    with duckdb.connect(snapshot(owned), read_only=True) as copy:
        copied = copy.execute(views).fetchall()

    assert copied == owned.cursor().execute(views).fetchall()
    assert "v_layers" in {name for name, _ in copied}
