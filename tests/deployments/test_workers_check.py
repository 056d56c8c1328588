"""What the doctor says of the workers of a Dask cluster."""

from __future__ import annotations

import sys

import pytest

from deployments.checks.workers import check_workers
from policy.settings.execution import Execution
from tests.deployments.system import free_port


def test_with_threads_there_is_nothing_to_look_at() -> None:
    assert check_workers(Execution()) == []


def test_a_scheduler_that_does_not_answer_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.checks.workers.CONNECT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"

    [check] = check_workers(Execution(task_runner="dask", dask_address=address))

    assert (check.name, check.outcome) == (f"dask {address}", "warning")
    assert "all is done in the resident process meanwhile" in check.found


def test_without_the_package_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    [check] = check_workers(Execution(task_runner="dask", dask_address="tcp://dask:8786"))

    assert check.outcome == "failed"
    assert check.mend == "install the extra dask, or set execution.taskRunner to threads"
