"""Bring the schema of a database to the version of this release.

Migrations are the numbered files of `storage/migrations`; each runs in one transaction
together with its record. A schema newer than the newest file is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Final

import duckdb

from storage.engine import one_line
from storage.errors import StorageError

CREATE_RECORD: Final = """
    create table if not exists schema_migrations (
        version integer primary key, name varchar not null, applied_at timestamptz not null
    )
"""
COMMENT_ON_RECORD: Final = (
    "comment on table schema_migrations is 'The migrations that were applied, and when.'"
)
HAS_RECORD: Final = """
    select 1 from duckdb_tables()
    where database_name = current_database() and table_name = 'schema_migrations'
"""
APPLIED_VERSIONS: Final = "select version from schema_migrations"
RECORD_MIGRATION: Final = "insert into schema_migrations values (?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered file: `0001_tables.sql` has version 1 and the name `tables`."""

    version: int
    name: str
    statements: str


def known_migrations() -> list[Migration]:
    """The migrations of this release, oldest first."""
    found = [
        Migration(
            version=int(entry.name[:4]),
            name=entry.name[5:].removesuffix(".sql"),
            statements=entry.read_text(encoding="utf-8"),
        )
        for entry in files("storage").joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.version)


def migrate(connection: duckdb.DuckDBPyConnection, *, clock: Callable[[], datetime]) -> list[int]:
    """Apply what is missing; return the versions applied, oldest first.

    Raises:
        StorageError: the schema is newer than this release, and nothing is changed; or a migration
            failed, of which nothing is kept.
    """
    migrations = known_migrations()
    applied = applied_versions(connection)
    refuse_newer(applied)
    missing = [migration for migration in migrations if migration.version not in applied]
    if not applied:
        connection.execute(CREATE_RECORD)
        connection.execute(COMMENT_ON_RECORD)
    for migration in missing:
        _apply(connection, migration, clock())
    return [migration.version for migration in missing]


def outdated(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The schema of a history to which migrations are to be applied; None: there is nothing to do.

    Raises:
        StorageError: it is newer than this release.
    """
    applied = applied_versions(connection)
    refuse_newer(applied)
    known = {migration.version for migration in known_migrations()}
    return max(applied) if applied and known - applied else None


def applied_versions(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """The migrations that were applied; empty for what is no history of ours."""
    if not connection.execute(HAS_RECORD).fetchone():
        return set()
    return {version for (version,) in connection.execute(APPLIED_VERSIONS).fetchall()}


def refuse_newer(applied: set[int]) -> None:
    """Refuse a history to which migrations were applied that this release does not know.

    Raises:
        StorageError: it is one.
    """
    newest_known = known_migrations()[-1].version
    if newer := [version for version in applied if version > newest_known]:
        raise StorageError(
            f"the history has schema {max(newer)} and this release knows {newest_known}; "
            "run the newer release, or `mlo restore` the copy that was kept before the upgrade"
        )


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration, at: datetime) -> None:
    connection.begin()
    try:
        connection.execute(migration.statements)
        connection.execute(RECORD_MIGRATION, [migration.version, migration.name, at])
        connection.commit()
    except duckdb.Error as exc:
        with suppress(duckdb.Error):  # a failed commit has ended the transaction already
            connection.rollback()
        raise StorageError(
            f"the history could not be brought to schema {migration.version} ({migration.name}): "
            f"{one_line(str(exc))}; run the release before, with the copy that was kept"
        ) from exc
