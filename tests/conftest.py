"""What tests of every room share."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Tool = Callable[[str, str], str]


@pytest.fixture(scope="session")
def debian_tool() -> Tool:
    """The path of a program, by its name and its package.

    Without it the test is skipped, but not in CI, which installs the package.
    """

    def found(program: str, package: str) -> str:
        path = shutil.which(program)
        if path is None:
            missing = f"{program} is not installed (Debian: apt-get install {package})"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        return path

    return found


@pytest.fixture(scope="session")
def start_prometheus(
    debian_tool: Tool, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[str]]:
    """Start a real Prometheus: `with start_prometheus({name: base URL}) as url`.

    Each process is a target whose label `pod` is its name. `every` is the scrape interval;
    `dropped` are families that it does not keep; `page` is where metrics are.
    """
    program = debian_tool("prometheus", "prometheus")

    @contextmanager
    def started(
        targets: Mapping[str, str],
        *,
        every: str = "1s",
        dropped: Sequence[str] = (),
        page: str = "metrics",
    ) -> Iterator[str]:
        job: dict[str, object] = {
            "job_name": "mimir/all",
            "static_configs": [
                {
                    "targets": [httpx.URL(url).netloc.decode()],
                    "labels": {"__metrics_path__": f"{httpx.URL(url).path}/{page}", "pod": name},
                }
                for name, url in targets.items()
            ],
        }
        if dropped:
            families = {"source_labels": ["__name__"], "regex": "|".join(dropped)}
            job["metric_relabel_configs"] = [{**families, "action": "drop"}]
        intervals = {"scrape_interval": every, "scrape_timeout": every}
        folder = tmp_path_factory.mktemp("prometheus")
        config = folder / "prometheus.yaml"
        config.write_text(json.dumps({"global": intervals, "scrape_configs": [job]}))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={address}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(timeout=20)

    return started
