"""A step of a flow: a Prefect task inside a flow run, a plain coroutine function elsewhere.

Inside a run Prefect retries, times and shows it. Without one there is nothing to show it on, and
a server would be started just to say so: the function is called as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.context import FlowRunContext

P = ParamSpec("P")
R = TypeVar("R")

Step = Callable[P, Coroutine[Any, Any, R]]


def step(**options: Any) -> Callable[[Step[P, R]], Step[P, R]]:  # noqa: ANN401 - Prefect's own
    """Make a coroutine function a step.

    Args:
        **options: of `prefect.task`; those of `tasks.retry.retry_policy` among them.
    """

    def made(work: Step[P, R]) -> Step[P, R]:
        as_task = task(work, **options)

        @wraps(work)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if FlowRunContext.get() is None:
                return await work(*args, **kwargs)
            return await as_task(*args, **kwargs)

        return run

    return made
