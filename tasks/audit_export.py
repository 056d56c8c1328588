"""Hand the audit to where it is read without the history: a file, and a ConfigMap.

An entry reaches the file at least once: it counts as exported when it is on the disk, so a crash
may double the newest, and loses none.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import polars as pl

from policy.audit import audit_line
from policy.room import CONFIG_MAP_BYTES
from storage.audit import export_entries, newest_entries
from storage.database import Database
from tasks.audit_file import appending
from tasks.audit_mirror import fitting, put
from tasks.config_map import Place
from tasks.retry import retry_policy
from tasks.step import step
from tasks.threads import threaded

ENTRIES_AT_ONCE: Final = 10_000

_SHORTEST_LINE: Final = 180  # bytes: names, quotes and time


@step(
    name="export-audit",
    task_run_name="append the audit to {path}",
    # What is not exported now is exported by the next run.
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def export_to_file(database: Database, *, path: Path, most_bytes: int) -> int:
    """Append all that is not in the file yet; return how many entries that were.

    Raises:
        ConfigError: the file cannot be written, and retrying is useless.
        RetriableError: the file or the history cannot be written just now.
    """
    exported = 0
    while True:
        with ExitStack() as undone_if_unmarked:

            def write(entries: pl.DataFrame, stack: ExitStack = undone_if_unmarked) -> None:
                lines = "".join(f"{line}\n" for line in _lines(entries)).encode()
                stack.enter_context(appending(path, lines, most_bytes=most_bytes))

            count = export_entries(database, write=write, at_most=ENTRIES_AT_ONCE)
        exported += count
        if count < ENTRIES_AT_ONCE:
            return exported


@step(
    name="mirror-audit",
    task_run_name="mirror the audit to {mirror.namespace}/{mirror.name}",
    **retry_policy(retries=0, timeout_seconds=60),
)
@threaded
def mirror_to_config_map(database: Database, *, mirror: Place, newest: int) -> None:
    """Let the ConfigMap hold the newest entries, as many as fit.

    Raises:
        OptimizerError: see `tasks.audit_mirror.put`.
    """
    entries = newest_entries(database, newest=min(newest, CONFIG_MAP_BYTES // _SHORTEST_LINE))
    put(fitting(_lines(entries)), mirror=mirror)


def _lines(entries: pl.DataFrame) -> list[str]:
    return [audit_line(entry) for entry in entries.iter_rows(named=True)]
