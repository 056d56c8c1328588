from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from deployments.document import DOCUMENT_PATH
from deployments.up import Up


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

    with up._endpoint(up._settings()), httpx.Client() as client:
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
