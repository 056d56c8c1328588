"""The runtime file over HTTP: what Mimir reads when everything else of ours may be down."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from deployments.document import DOCUMENT_PATH, ServedDocument
from deployments.endpoint import application
from flows.vitals import Vitals
from policy.document import parse
from tasks.sinks.file import ABSENT, FileSink
from tasks.telemetry import Telemetry

DOCUMENT = b'overrides:\n  "team-a":\n    ingestion_rate: 5000\n'


@dataclass
class Reader:
    """Asks the endpoint without a network."""

    app: FastAPI

    def request(self, method: str, url: str, **given: object) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, url, **given)  # type: ignore[arg-type]

        return asyncio.run(ask())

    def get(self, url: str, **given: object) -> httpx.Response:
        return self.request("GET", url, **given)

    def head(self, url: str) -> httpx.Response:
        return self.request("HEAD", url)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "overrides.yaml"


@pytest.fixture
def client(path: Path) -> Reader:
    app = application(
        vitals=Vitals(born_at=datetime(2026, 11, 23, tzinfo=UTC)),
        telemetry=Telemetry(CollectorRegistry()),
        protect_interval=lambda: timedelta(seconds=15),
        clock=lambda: datetime(2026, 11, 23, tzinfo=UTC),
        document=ServedDocument(path),
    )
    return Reader(app)


def test_the_document_is_served_with_the_hash_of_its_content(path: Path, client: Reader) -> None:
    path.write_bytes(DOCUMENT)

    answer = client.get(DOCUMENT_PATH)

    assert (answer.status_code, answer.content) == (200, DOCUMENT)
    assert answer.headers["ETag"] == f'"{sha256(DOCUMENT).hexdigest()}"'
    assert answer.headers["Content-Type"].startswith("application/yaml")


def test_head_tells_the_length_and_sends_nothing(path: Path, client: Reader) -> None:
    path.write_bytes(DOCUMENT)

    answer = client.head(DOCUMENT_PATH)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DOCUMENT))


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_what_the_reader_has_already_is_not_sent_again(
    path: Path, client: Reader, form: str
) -> None:
    path.write_bytes(DOCUMENT)
    tag = (client.get(DOCUMENT_PATH)).headers["ETag"]

    answer = client.get(DOCUMENT_PATH, headers={"If-None-Match": form.format(tag)})

    assert (answer.status_code, answer.content) == (304, b"")


def test_a_newer_document_is_sent_to_who_has_the_older(path: Path, client: Reader) -> None:
    path.write_bytes(DOCUMENT)
    tag = (client.get(DOCUMENT_PATH)).headers["ETag"]
    path.write_bytes(b"overrides: {}\n")

    answer = client.get(DOCUMENT_PATH, headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (200, b"overrides: {}\n")


def test_before_the_first_publication_a_document_without_limits_is_served(
    client: Reader,
) -> None:
    """A process of Mimir that cannot read its runtime configuration does not start."""
    answer = client.get(DOCUMENT_PATH)

    assert answer.status_code == 200
    assert parse(answer.content).is_empty()


@pytest.mark.parametrize("left", [None, b"", b"\n"], ids=["gone", "empty", "blank"])
def test_a_document_that_was_served_once_is_never_followed_by_none(
    path: Path, client: Reader, left: bytes | None
) -> None:
    path.write_bytes(DOCUMENT)
    client.get(DOCUMENT_PATH)

    path.unlink() if left is None else path.write_bytes(left)

    assert (client.get(DOCUMENT_PATH)).content == DOCUMENT


def test_an_empty_file_is_no_answer(path: Path, client: Reader) -> None:
    """Mimir takes an empty file for no overrides at all; after a 503 it keeps what it has."""
    path.write_bytes(b"")

    assert (client.get(DOCUMENT_PATH)).status_code == 503


def test_a_published_document_that_is_gone_is_no_answer(path: Path, client: Reader) -> None:
    FileSink(path).write(DOCUMENT, if_version=ABSENT)
    path.unlink()

    assert (client.get(DOCUMENT_PATH)).status_code == 503


def test_a_folder_that_is_not_mounted_is_no_answer(tmp_path: Path) -> None:
    served = ServedDocument(tmp_path / "away" / "overrides.yaml")

    assert served.answer("GET", path=DOCUMENT_PATH)[0] == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nobody_writes_through_it(path: Path, client: Reader, method: str) -> None:
    path.write_bytes(DOCUMENT)

    answer = client.request(method, DOCUMENT_PATH, content=b"overrides: {}\n")

    assert answer.status_code == 405
    assert path.read_bytes() == DOCUMENT


@pytest.fixture
def alone(path: Path) -> Iterator[str]:
    """The small process, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "deployments.document", str(path), "127.0.0.1", str(port)]
    with subprocess.Popen(command) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.timeout(20)
def test_a_process_of_its_own_serves_the_document_and_nothing_else(path: Path, alone: str) -> None:
    path.write_bytes(DOCUMENT)

    with httpx.Client(base_url=alone) as client:
        answer = until_it_answers(client)

        assert answer.content == DOCUMENT
        assert client.get("/metrics").status_code == 404


def test_the_small_process_loads_neither_prefect_nor_the_database() -> None:
    program = (
        "import deployments.document, sys; "
        "print([name for name in ('prefect', 'duckdb', 'polars', 'fastapi') "
        "if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert said.stdout.strip() == b"[]"


def until_it_answers(client: httpx.Client) -> httpx.Response:
    """Its port opens within a moment of its start; nothing else tells when."""
    for _ in range(100):
        try:
            return client.get(DOCUMENT_PATH)
        except httpx.ConnectError:
            time.sleep(0.1)
    pytest.fail("the document is not served within ten seconds")
