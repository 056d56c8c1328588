"""The Prefect server as a child process, with the settings that were measured to hold.

Refuses to guess: when PREFECT_API_URL names a server, that one is used and none is started.
This module must be imported, and `prefect_environment` applied, before Prefect itself is,
because Prefect reads its settings once.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import certifi
import httpx

from deployments.children import Child, start_child
from policy.errors import ConfigError

START_TIMEOUT_SECONDS: Final = 120.0
RESULTS_BLOCK: Final = "local-file-system/resident"  # made by deployments.schedule

# Why each of them is set: the recorder's default of one transaction per task event costs 57 ms
# of CPU per task run; flow runs are never deleted by default; a killed run would hold its
# lease for five minutes; the analytics client logs failures where there is no internet.
SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60",
    # Stored events are four fifths of the growth (240 KiB a run) and a quarter of the server's
    # CPU, for the UI's event feed alone: states, runs and automations do without.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "172800",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
    # Prefect lists all time zones each time it reads a schedule. From the tzdata package that is
    # one file, from the system's folder a walk through hundreds: an eighth of the server's CPU.
    "PYTHONTZPATH": "",
}

# A worker that looks every 5 s and fetches 10 s ahead starts each run at its own second.
CLIENT_SETTINGS: Final[Mapping[str, str]] = {
    "PREFECT_WORKER_QUERY_SECONDS": "5",
    "PREFECT_WORKER_PREFETCH_SECONDS": "10",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_COLORS": "false",
}


def prefect_environment(
    *, data_folder: Path, port: int, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment in which both our process and the server run.

    What the operator has set wins, so a Prefect server elsewhere is used by setting
    PREFECT_API_URL and nothing else.

    Args:
        data_folder: where Prefect keeps its SQLite file and its home.
        port: the loopback port of the server that is started.
        environ: the environment we were started in.
    """
    home = (data_folder / "prefect").resolve()
    ours = {**SERVER_SETTINGS, **CLIENT_SETTINGS, "PREFECT_HOME": str(home)}
    if is_ours(environ):
        ours["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        ours["PREFECT_API_SSL_CERT_FILE"] = str(_one_authority(home))
        # Each client would ask for a token that our server does not check, and each run twice
        # for where results are kept, of which there are none.
        ours["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"
        # It writes its UI anew at the first start, by default where it is installed.
        ours["PREFECT_SERVER_UI_STATIC_DIRECTORY"] = str(home / "ui")
        ours["PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK"] = RESULTS_BLOCK
    return {**ours, **environ}


def _one_authority(home: Path) -> Path:
    """A file with one certificate authority, for clients of a server that speaks no TLS.

    Prefect makes several clients for each run, and each reads all the authorities that it may
    have to trust: 25 ms of CPU, though on the loopback there is nothing to trust.
    """
    home.mkdir(parents=True, exist_ok=True)
    file = home / "one-authority.pem"
    end = "-----END CERTIFICATE-----\n"
    file.write_text(certifi.contents().split(end)[0] + end, encoding="utf-8")
    return file


def is_ours(environ: Mapping[str, str]) -> bool:
    """Whether a server is to be started: the operator named none."""
    return not environ.get("PREFECT_API_URL")


def refuse_taken_port(host: str, port: int, *, key: str) -> None:
    """Say in one line that the port is in use, before a server fails less clearly.

    Raises:
        ConfigError: it is in use, or the host is none of this machine; names the setting `key`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise ConfigError(
                f"{key}: nothing can listen on {host}:{port} ({exc.strerror}): "
                "stop what listens there, or set another port"
            ) from exc


def start_server(*, port: int, log: Path) -> Child:
    """Start the server on 127.0.0.1; its output goes to the file `log`."""
    refuse_taken_port("127.0.0.1", port, key="prefect.port")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    return start_child(
        "the Prefect server", [*command, "--port", str(port)], log=log, environ=os.environ
    )


async def wait_until_healthy(
    api_url: str,
    *,
    server: Child | None,
    timeout_seconds: float = START_TIMEOUT_SECONDS,
) -> None:
    """Return once the API answers; a first start migrates its database and takes 15-35 s.

    Raises:
        ChildEnded: the server that we started ended.
        ConfigError: nothing answered in time.
    """
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    async with httpx.AsyncClient(timeout=5) as client:
        while asyncio.get_running_loop().time() < deadline:
            if server is not None:
                server.check()
            try:
                answer = await client.get(f"{api_url}/health")
            except httpx.HTTPError:
                await asyncio.sleep(0.25)
                continue
            if answer.status_code == httpx.codes.OK:
                return
            await asyncio.sleep(0.25)
    where = f"; its log is {server.log}" if server is not None else "; check PREFECT_API_URL"
    raise ConfigError(
        f"no Prefect server answered at {api_url} within {timeout_seconds:.0f} s{where}"
    )
