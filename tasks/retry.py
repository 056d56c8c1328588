"""Say once which failures of a Prefect task deserve another try.

Only what may pass by itself is tried again: RetriableError and time-outs. A wrong setting or a
skipped subject fails at once, and so does a bug.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from policy.errors import RetriableError

_FIRST_DELAY_SECONDS: Final = 1.0
_JITTER_FACTOR: Final = 0.5

Condition = Callable[[Task[..., Any], TaskRun, State[Any]], bool]


def retry_on(*kinds: type[Exception]) -> Condition:
    """A `retry_condition_fn` that says yes to these kinds of error and to time-outs.

    Prefect's own task time-out is a TimeoutError, and asyncio's is that class itself.
    """
    retried = (*kinds, TimeoutError, httpx.TimeoutException)

    # A plain function: Prefect takes any other callable, such as a partial, for a "no".
    def condition(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
        return isinstance(state.data, retried)

    return condition


def retry_policy(*, retries: int = 3, timeout_seconds: float) -> dict[str, Any]:
    """The arguments of `@task` for a step that touches the world.

    Delays double from 1 s, each stretched or shortened at random so that many tasks that failed
    together do not return together. Results are never cached: the world has moved on.

    Args:
        retries: tries after the first.
        timeout_seconds: longest time for one try.
    """
    return {
        "retries": retries,
        "retry_delay_seconds": exponential_backoff(_FIRST_DELAY_SECONDS),
        "retry_jitter_factor": _JITTER_FACTOR,
        "retry_condition_fn": retry_on(RetriableError),
        "timeout_seconds": timeout_seconds,
        "cache_policy": NO_CACHE,
    }
