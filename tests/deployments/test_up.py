from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deployments.document import DOCUMENT_PATH
from deployments.up import Up, forget_earlier
from policy.audit import AuditEntry
from policy.settings import parse_settings
from storage.audit import append_audit, export_entries, newest_entries
from storage.database import Database

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_prefect_is_not_imported_before_its_environment_is_set() -> None:
    """
    Prefect reads its settings once, at import; `mlo up` sets them first.
    """
    program = "import sys, deployments.up; sys.exit('prefect' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    assert finished.returncode == 0


@pytest.mark.parametrize(("sink", "status"), [("http", 200), ("file", 404)])
def test_the_document_is_served_before_anything_else_is_started(
    tmp_path: Path, sink: str, status: int
) -> None:
    """A Mimir process may be waiting for it: Prefect takes 20 s, and is not needed for that."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        "MLO_SERVER__PORT": str(port),
        "MLO_PUBLISH__SINK": sink,
        "MLO_PUBLISH__FILE__PATH": str(tmp_path / "overrides.yaml"),
    }
    up = Up(config=None, simulate=False, environ=environ)

    with (
        Database.open(str(tmp_path / "history.duckdb"), clock=up.clock) as database,
        up._endpoint(up._settings(), database),
        httpx.Client() as client,
    ):
        answer = until_it_answers(client, f"http://127.0.0.1:{port}{DOCUMENT_PATH}")

    assert answer.status_code == status


def until_it_answers(client: httpx.Client, url: str) -> httpx.Response:
    """Its port opens within a moment of its start; nothing else tells when."""
    for _ in range(100):
        try:
            return client.get(url)
        except httpx.ConnectError:
            time.sleep(0.02)
    pytest.fail(f"{url} is not served within two seconds")


@pytest.mark.parametrize(
    ("audit_log", "kept"),
    [
        ({}, 2),
        ({"storageType": "configmap"}, 2),
        ({"storageType": "memory"}, 0),
        ({"storageType": "memory", "file": "audit.jsonl"}, 1),
    ],
    ids=["duckdb", "configmap", "memory", "memory and a file"],
)
def test_an_audit_in_memory_does_not_outlive_the_process(
    tmp_path: Path, audit_log: dict[str, str], kept: int
) -> None:
    """What waits for the file goes once it is in it."""
    url = str(tmp_path / "history.duckdb")
    settings = parse_settings({"auditLog": audit_log})
    entry = AuditEntry(
        at=NOON,
        category="system",
        component="publish",
        action="limit_changed",
        actor="optimizer",
        success=True,
        details={},
    )
    with Database.open(url, clock=lambda: NOON) as earlier:
        append_audit(earlier, [entry])
        export_entries(earlier, write=lambda _: None, at_most=1)
        append_audit(earlier, [entry])

    with Database.open(url, clock=lambda: NOON) as later:
        forget_earlier(later, settings)

        assert newest_entries(later, newest=10).height == kept
