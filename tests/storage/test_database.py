"""Opening, owning and migrating the file, and what a transaction promises."""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from policy.errors import Conflict
from storage.database import Database, read_frame
from storage.engine import connect
from storage.errors import StorageError, StorageUnavailable
from storage.migrate import known_migrations, migrate

COUNT_TENANTS = "select count(*) from tenants"
ADD_TENANT = "insert into tenants (tenant, first_seen, last_seen) values (?, now(), now())"


def tenants_in(database: Database) -> int:
    counted = database.cursor().execute(COUNT_TENANTS).fetchone()
    assert counted
    return int(counted[0])


def test_opening_creates_the_folder_and_the_newest_schema(tmp_path: Path, now: datetime) -> None:
    file = tmp_path / "new" / "history.duckdb"

    with Database.open(str(file), clock=lambda: now) as database:
        applied = database.cursor().execute("select version from schema_migrations").fetchall()

    assert [version for (version,) in applied] == [m.version for m in known_migrations()]
    assert file.is_file()


def test_opening_again_applies_nothing_and_keeps_everything(path: Path, now: datetime) -> None:
    with Database.open(str(path), clock=lambda: now) as database, database.transaction() as cursor:
        cursor.execute(ADD_TENANT, ["t1"])

    with Database.open(str(path), clock=lambda: now) as database:
        assert migrate(database.cursor(), clock=lambda: now) == []
        assert tenants_in(database) == 1


def test_every_table_and_view_says_what_it_is(database: Database) -> None:
    silent = (
        database.cursor()
        .execute(
            """
            select table_name from duckdb_tables() where comment is null and not internal
            union all
            select view_name from duckdb_views() where comment is null and not internal
            """
        )
        .fetchall()
    )

    assert silent == []


def test_every_cursor_speaks_utc(database: Database) -> None:
    assert database.cursor().execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_second_owner_is_refused_with_the_process_and_the_way_out(
    owned: Database, path: Path, now: datetime
) -> None:
    with pytest.raises(StorageError, match=rf"in use by process {os.getpid()} .*`mlo sql`"):
        Database.open(str(path), clock=lambda: now)

    assert tenants_in(owned) == 0


def test_a_closed_history_can_be_owned_again(path: Path, now: datetime) -> None:
    Database.open(str(path), clock=lambda: now).close()

    Database.open(str(path), clock=lambda: now).close()


def test_a_crash_right_after_the_migrations_leaves_a_file_that_opens(
    path: Path, now: datetime
) -> None:
    """
    DuckDB cannot replay every schema change from its write-ahead log; ours it must.
    """
    with connect(str(path)) as connection:
        migrate(connection, clock=lambda: now)
        crashed = path.with_name("crashed.duckdb")
        shutil.copyfile(path, crashed)
        shutil.copyfile(f"{path}.wal", f"{crashed}.wal")

    with Database.open(str(crashed), clock=lambda: now) as database:
        assert tenants_in(database) == 0


def test_what_is_no_duckdb_file_is_refused_and_left_alone(path: Path, now: datetime) -> None:
    content = b"the diary of a mad tenant\n" * 500
    path.write_bytes(content)

    with pytest.raises(StorageError, match="is not a DuckDB file; move it away"):
        Database.open(str(path), clock=lambda: now)

    assert path.read_bytes() == content


def test_a_damaged_file_is_refused_and_left_alone(path: Path, now: datetime) -> None:
    Database.open(str(path), clock=lambda: now).close()
    damaged = path.read_bytes()[:5_000] + b"\xff" * 4_000
    path.write_bytes(damaged)

    with pytest.raises(StorageError, match=r"cannot be read: .*history\.ro\.duckdb"):
        Database.open(str(path), clock=lambda: now)

    assert path.read_bytes() == damaged


def test_a_file_of_a_newer_duckdb_is_refused_and_left_alone(path: Path, now: datetime) -> None:
    """
    The first block holds its checksum, the magic bytes and the version of the format.
    """
    Database.open(str(path), clock=lambda: now).close()
    block = bytearray(path.read_bytes()[:4_096])
    block[12:20] = struct.pack("<Q", 999)
    block[:8] = struct.pack("<Q", block_checksum(bytes(block[8:])))
    newer = bytes(block) + path.read_bytes()[4_096:]
    path.write_bytes(newer)

    with pytest.raises(StorageError, match="written by a DuckDB newer than"):
        Database.open(str(path), clock=lambda: now)

    assert path.read_bytes() == newer


def test_a_schema_of_a_newer_release_is_refused(path: Path, now: datetime) -> None:
    with Database.open(str(path), clock=lambda: now) as database:
        database.cursor().execute("insert into schema_migrations values (9999, 'later', now())")

    with pytest.raises(StorageError, match="has schema 9999"):
        Database.open(str(path), clock=lambda: now)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="cannot be written"):
        Database.open(str(tmp_path / "file" / "history.duckdb"), clock=lambda: now)


def test_a_served_address_is_no_file_to_own(now: datetime) -> None:
    with pytest.raises(StorageError, match="names a served history"):
        Database.open("quack:127.0.0.1:9494", clock=lambda: now)


def test_a_transaction_that_fails_keeps_nothing(database: Database) -> None:
    with suppress(RuntimeError), database.transaction() as cursor:
        cursor.execute(ADD_TENANT, ["t1"])
        raise RuntimeError

    assert tenants_in(database) == 0


def test_an_inner_transaction_is_part_of_the_outer_one(database: Database) -> None:
    with suppress(RuntimeError), database.transaction():
        with database.transaction() as cursor:
            cursor.execute(ADD_TENANT, ["t1"])
        raise RuntimeError

    assert tenants_in(database) == 0


def test_two_writers_of_one_row_conflict_rather_than_overwrite(database: Database) -> None:
    database.cursor().execute(ADD_TENANT, ["t1"])
    other = database.cursor().cursor()
    other.begin()
    other.execute("update tenants set last_seen = now() where tenant = 't1'")

    with pytest.raises(Conflict), database.transaction() as cursor:
        cursor.execute("update tenants set last_seen = now() where tenant = 't1'")

    other.rollback()
    assert tenants_in(database) == 1


def block_checksum(content: bytes) -> int:
    """The checksum that DuckDB puts in front of a block."""
    total = 5381
    for (word,) in struct.iter_unpack("<Q", content):
        total ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return total


def test_a_history_larger_than_its_memory_is_read_within_it(path: Path, now: datetime) -> None:
    limit = 32 * 1024**2
    with Database.open(str(path), clock=lambda: now, memory_limit=limit) as database:
        # Hashes cannot be compressed: 64 MB.
        write = "create table large as select hash(n) as value from range(8_000_000) r(n)"
        database.cursor().execute(write)
        database.cursor().execute("checkpoint")

        read = read_frame(database, "select max(value) as most from large")
        held = read_frame(database, "select sum(memory_usage_bytes) as held from duckdb_memory()")

    assert read.item() > 0
    assert held.item() <= limit


def test_a_question_that_needs_more_memory_says_which_setting_to_raise(
    path: Path, now: datetime
) -> None:
    limit = 32 * 1024**2
    with Database.open(str(path), clock=lambda: now, memory_limit=limit) as database:
        with pytest.raises(StorageUnavailable, match=r"; raise storage\.memoryLimit$"):
            read_frame(database, "select list(hash(n)) from range(8_000_000) r(n)")

        assert tenants_in(database) == 0
