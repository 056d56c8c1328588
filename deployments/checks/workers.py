"""Check the workers that looks and estimates are shared out among."""

from __future__ import annotations

import logging
from typing import Any, Final

from deployments.checks.check import Check, failed, ok, warning
from policy.settings.execution import Execution

CONNECT_SECONDS: Final = 5
_HERE: Final = "all is done in the resident process meanwhile"


def check_workers(execution: Execution) -> list[Check]:
    """Whether the scheduler answers and has workers; nothing where threads do all."""
    if execution.task_runner == "threads":
        return []
    name = f"dask {execution.dask_address}"
    try:
        from distributed import Client  # noqa: PLC0415 - an extra of its own, and slow
    except ImportError:
        mend = "install the extra dask, or set execution.taskRunner to threads"
        return [failed(name, "the package prefect-dask is not installed", mend=mend)]
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client: Any = Client(execution.dask_address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        with client:
            count = len(client.nthreads())
    except (OSError, RuntimeError) as error:
        mend = "start the scheduler, or correct execution.daskAddress"
        return [warning(name, f"does not answer, {_HERE}: {error}", mend=mend)]
    if not count:
        mend = f"start one: dask worker {execution.dask_address}"
        return [warning(name, f"has no worker, {_HERE}", mend=mend)]
    return [ok(name, f"answers, {count} workers")]
