"""Connect to DuckDB, and say in one line why that failed.

Never installs an extension from the network and never repairs, moves or overwrites a file
that it cannot read.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Final

import duckdb

from storage.errors import StorageError
from storage.lock import in_use

SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
}
IN_UTC: Final = "set global TimeZone = 'UTC'"
QUACK_EXTENSIONS: Final = ("httpfs", "quack")  # quack speaks HTTP through httpfs

_HOLDER: Final = re.compile(r"PID (\d+)")
_PREFIX: Final = re.compile(r"^(?:[A-Z][A-Za-z]*(?: [A-Za-z]+)* Error: )+")

if importlib.util.find_spec("pandas") is None:
    # DuckDB asks for pandas twice for each value that it is given, and Python would look through
    # all folders each time: a third of the cost of a small query.
    sys.modules["pandas"] = None  # type: ignore[assignment]


def connect(
    path: str, *, read_only: bool = False, memory_limit: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open the DuckDB file `path` (or `:memory:`), in UTC.

    It holds at most `memory_limit` bytes; None: most of the machine's memory.

    Raises:
        StorageError: the file is locked, damaged, no DuckDB file, or of a newer DuckDB.
    """
    try:
        connection = duckdb.connect(path, read_only=read_only, config=SETTINGS)
        if memory_limit is not None:
            connection.execute(f"set global memory_limit = '{memory_limit}B'")
            # Or as much again stays with the allocator after a large query.
            connection.execute("set global allocator_flush_threshold = '16MiB'")
            connection.execute("set global allocator_background_threads = true")
    except duckdb.Error as exc:
        raise _cannot_open(Path(path), str(exc)) from exc
    connection.execute(IN_UTC)
    return connection


def load_quack(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the Quack extension from its wheel.

    Raises:
        StorageError: the wheel holds no extension for this DuckDB.
    """
    for name in QUACK_EXTENSIONS:
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        built = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if not built.is_file():
            raise StorageError(
                f"DuckDB {duckdb.__version__} has no extension {name} here; install "
                f"duckdb-extension-{name}=={duckdb.__version__}"
            )
        connection.execute(f"LOAD '{quoted(built)}'")


def quoted(path: Path) -> str:
    """The path for use within single quotes, where DuckDB takes no parameter."""
    return str(path).replace("'", "''")


def one_line(message: str) -> str:
    """DuckDB's error as one line: the first paragraph, without the kind of the error."""
    paragraph = message.strip().split("\n\n", maxsplit=1)[0]
    return _PREFIX.sub("", " ".join(paragraph.split()))


def _cannot_open(path: Path, message: str) -> StorageError:
    if "Conflicting lock" in message or "Could not set lock" in message:
        holder = _HOLDER.search(message)
        return in_use(path, holder.group(1) if holder else "unknown")

    if "not a valid DuckDB" in message:
        return StorageError(
            f"{path} is not a DuckDB file; move it away or point storage.url elsewhere"
        )

    if "version number" in message or "storage version" in message:
        return StorageError(
            f"{path} was written by a DuckDB newer than {duckdb.__version__}; run the newer "
            "release of mlo, or move the file away (history is lost, limits are not)"
        )

    return StorageError(
        f"{path} cannot be read: {one_line(message)}; `mlo restore {snapshot_of(path).name}` puts "
        "its newest copy in its place, or move it away (history is lost, limits are not)"
    )


def snapshot_of(path: Path) -> Path:
    """Where the snapshot of the database file `path` is kept: `history.ro.duckdb`."""
    return path.with_name(f"{path.stem}.ro{path.suffix}")
