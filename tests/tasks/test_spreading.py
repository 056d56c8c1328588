"""What is given to the workers of a Dask cluster, and what is done here after all."""

from __future__ import annotations

import sys

import pytest

from policy.errors import ConfigError
from policy.settings.execution import Execution
from tasks.spreading import task_runner_of, workers

DASK = Execution(task_runner="dask", dask_address="tcp://127.0.0.1:8786")


def test_with_threads_flows_keep_their_own_task_runner() -> None:
    assert task_runner_of(Execution()) is None


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)

    with pytest.raises(ConfigError) as refusal:
        task_runner_of(DASK)

    assert str(refusal.value) == (
        "execution.taskRunner: dask needs the package prefect-dask, which is not installed: "
        "install the extra mimir-limit-optimizer[dask], or set it to threads"
    )


def test_outside_of_a_run_everything_is_done_here() -> None:
    assert workers() == ()
