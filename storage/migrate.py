"""Bring the schema of a database to the version of this release.

Migrations are the numbered files of `storage/migrations`; each runs in one transaction
together with its record. A schema newer than the newest file is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Final

import duckdb

from storage.errors import StorageError

CREATE_RECORD: Final = """
    create table if not exists schema_migrations (
        version integer primary key, name varchar not null, applied_at timestamptz not null
    )
"""
COMMENT_ON_RECORD: Final = (
    "comment on table schema_migrations is 'The migrations that were applied, and when.'"
)
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
        StorageError: the schema is newer than this release; nothing is changed.
    """
    migrations = known_migrations()
    connection.execute(CREATE_RECORD)
    connection.execute(COMMENT_ON_RECORD)
    applied = {version for (version,) in connection.execute(APPLIED_VERSIONS).fetchall()}

    newest_known = migrations[-1].version
    if newer := [version for version in applied if version > newest_known]:
        raise StorageError(
            f"the history has schema {max(newer)} and this release knows {newest_known}; "
            "run the newer release, or move the file away (history is lost, limits are not)"
        )

    missing = [migration for migration in migrations if migration.version not in applied]
    for migration in missing:
        _apply(connection, migration, clock())
    return [migration.version for migration in missing]


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration, at: datetime) -> None:
    connection.begin()
    try:
        connection.execute(migration.statements)
        connection.execute(RECORD_MIGRATION, [migration.version, migration.name, at])
    except duckdb.Error:
        connection.rollback()
        raise
    connection.commit()
