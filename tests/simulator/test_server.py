"""The cluster behind a socket, and as a process that never outlives its use."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulator import SimulatorError, endpoints, running
from simulator.__main__ import main
from simulator.server import Server

New = Callable[..., Any]

ROOT = Path(__file__).parents[2]


def fetch(url: str, *, body: object = None, **headers: str) -> tuple[int, bytes]:
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=sent, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def runtime_file(tmp_path: Path) -> Path:
    file = tmp_path / "runtime.yaml"
    file.write_text("{}")
    return file


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", "--tenants", "3", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_pages_come_compressed_when_asked(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant()])

    with running(world.cluster) as server:
        url = f"{server.url}/ingester-0/metrics"
        _, plain = fetch(url)
        _, packed = fetch(url, **{"Accept-Encoding": "gzip"})

    assert plain.startswith(b"# HELP cortex_")
    assert gzip.decompress(packed) == plain


def test_drills_are_ordered_over_http(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant("a")])

    with running(world.cluster) as server:
        orders = f"{server.url}/simulator"
        fault = {"process": "ingester-0", "kind": "unreachable", "seconds": 60}
        broken = (
            fetch(f"{orders}/faults", body=fault)[0],
            fetch(f"{server.url}/ingester-0/ready")[0],
        )
        fetch(f"{orders}/faults", body={"process": "ingester-0", "kind": "none"})
        mended = fetch(f"{server.url}/ingester-0/ready")[0]
        blast, _ = fetch(f"{orders}/blast", body={"tenant": "a", "factor": 10, "seconds": 60})

        queries = {"tenant": "a", "factor": 10, "seconds": 60, "kind": "queries"}
        others = [
            fetch(f"{orders}/blast", body=queries)[0],
            fetch(f"{orders}/faults", body={"process": "ingester-0", "kind": "crash"})[0],
            fetch(f"{orders}/calm", body={})[0],
        ]
        _, told = fetch(f"{orders}/")

    assert others == [200, 200, 200]
    assert json.loads(told)["tenants"] == ["a"]
    assert "querier-1" in json.loads(told)["processes"]
    assert broken == (200, 503)
    assert (mended, blast) == (200, 200)


@pytest.mark.parametrize(
    ("what", "order"),
    [
        ("faults", {"process": "nobody", "kind": "reset"}),
        ("faults", {"process": "ingester-0", "kind": "sulk"}),
        ("faults", {"kind": "reset"}),
        ("faults", [1]),
        ("blast", {"tenant": "nobody", "factor": 2, "seconds": 1}),
        ("blast", {"tenant": "a", "factor": -1, "seconds": 1}),
        ("blast", {"tenant": "a", "factor": "much", "seconds": 1}),
        ("blast", {"tenant": "a", "factor": 2, "seconds": 1, "kind": "noise"}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    new_world: New, one_tenant: New, what: str, order: object
) -> None:
    world = new_world([one_tenant("a")])

    with running(world.cluster) as server:
        status, body = fetch(f"{server.url}/simulator/{what}", body=order)

    assert status == 400
    assert body.startswith(b"not an order: ")


def test_every_endpoint_answers(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant()])

    with running(world.cluster) as server:
        bases = endpoints(int(server.url.rsplit(":", 1)[1]))
        answers = [fetch(f"{base}/metrics")[0] for base in bases]

    assert answers == [200] * 9


def test_a_scrape_of_every_process_at_once_waits_for_none(new_world: New, one_tenant: New) -> None:
    """
    Who finds the queue of connections full tries again after a whole second.
    """
    world = new_world([one_tenant()])
    server = Server(world.cluster, port=0)

    # Nobody accepts, so every connection has to find a place in the queue.
    with server, ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(server.server_address[:2], timeout=0.5))
            for _ in range(32)
        ]

    assert len(waiting) == 32


def test_a_port_in_use_is_one_clear_line(new_world: New, one_tenant: New) -> None:
    world = new_world([one_tenant()])

    with running(world.cluster) as server:
        second = running(world.cluster, port=int(server.url.rsplit(":", 1)[1]))
        with pytest.raises(SimulatorError, match="another --port"):
            second.__enter__()


def test_a_missing_runtime_file_ends_with_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--runtime-config", str(tmp_path / "none.yaml")])

    assert status == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_quietly_within_a_second(
    runtime_file: Path, number: signal.Signals
) -> None:
    with start("--runtime-config", str(runtime_file)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        served, _ = fetch(f"{url}/distributor-0/ready")

        asked = time.monotonic()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=5)

    assert served == 200
    assert time.monotonic() - asked < 1
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_process_does_not_outlive_the_one_it_watches(runtime_file: Path) -> None:
    watched = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with start("--runtime-config", str(runtime_file), "--parent-pid", str(watched.pid)) as process:
        assert process.stdout is not None
        process.stdout.readline()

        watched.communicate()
        process.communicate(timeout=5)

    assert process.returncode == 0


def test_the_process_ends_when_its_own_parent_dies(runtime_file: Path) -> None:
    """
    The parent's death is known by the end of the pipe that only the orphan still holds.
    """
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'simulator', '--port', '0', *sys.argv[1:],"
        " '--parent-pid', str(os.getpid())], stderr=subprocess.DEVNULL)\n"
        "input()\n"
        "os._exit(0)\n"
    )
    arguments = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        script,
        "--runtime-config",
        str(runtime_file),
    ]
    with subprocess.Popen(
        arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()

        rest, _ = parent.communicate(b"\n", timeout=5)

    assert rest == b""


def test_the_process_imports_nothing_heavy() -> None:
    probe = "import sys, simulator.__main__; print(*sorted(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    found = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, env=environment, capture_output=True, check=True
    ).stdout.split()

    ours = {b"policy", b"storage", b"tasks", b"flows", b"deployments"}
    heavy = {b"prefect", b"fastapi", b"polars", b"duckdb", b"pydantic", b"httpx", b"asyncio"}
    assert not set(found) & (ours | heavy)
