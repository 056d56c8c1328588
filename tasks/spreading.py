"""Give the parts of a step to the workers of a Dask cluster, where the flow run has one.

Which worker does what, and what becomes of the parts of one that is gone, is Dask's; retries and
states are Prefect's. Without a cluster, and while none answers or has a worker, all parts are
worked on in this process: that workers are away must not stop the protection of Mimir.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar, overload

from prefect import Task
from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from policy.errors import ConfigError, RetriableError
from policy.settings.execution import Execution

EXTRA: Final = "dask"
CONNECT_SECONDS: Final = 3
AHEAD: Final = 2  # parts on their way to each worker: one is worked on, one waits

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)
_away: set[str] = set()  # schedulers of which it was said that nobody works for them


class NotBroughtBack(RetriableError):  # noqa: N818 - named for what was met
    """A part that no worker gave back."""


def task_runner_of(execution: Execution) -> TaskRunner[Any] | None:
    """The task runner that flows get instead of their own; None for their own, threads.

    Raises:
        ConfigError: the extra is not installed.
    """
    if execution.task_runner == "threads":
        return None
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra of its own, and slow
    except ImportError as error:
        raise ConfigError(
            "execution.taskRunner: dask needs the package prefect-dask, which is not installed: "
            f"install the extra mimir-limit-optimizer[{EXTRA}], or set it to threads"
        ) from error
    for logger in map(logging.getLogger, ("distributed", "distributed.client")):
        logger.handlers = []  # it writes to stderr in a form of its own
        logger.propagate = True
    return DaskTaskRunner(
        address=execution.dask_address,
        # What comes back does not go through the scheduler, which all have in common.
        client_kwargs={"timeout": f"{CONNECT_SECONDS}s", "direct_to_workers": True},
    )


def workers() -> tuple[str, ...]:
    """The addresses of the Dask workers that parts can be given to; none: work on them here.

    Blocks while the scheduler is asked, at most some seconds.
    """
    context = FlowRunContext.get()
    if context is None or isinstance(context.task_runner, ThreadPoolTaskRunner):
        return ()
    runner: Any = context.task_runner
    try:
        found = tuple(sorted(runner.client.nthreads()))
        problem = None if found else "has no worker"
    except (OSError, RuntimeError) as error:  # both are what a lost connection comes to
        found, problem = (), f"does not answer ({' '.join(str(error).split())})"
    _tell(runner.address, problem=problem)
    return found


def _tell(scheduler: str, *, problem: str | None) -> None:
    """Say once that nobody works there, and once that somebody does again."""
    if problem is not None and scheduler not in _away:
        _log.warning(
            "the Dask scheduler %s %s: all is done in this process meanwhile", scheduler, problem
        )
        _away.add(scheduler)
    if problem is None and scheduler in _away:
        _log.warning("the Dask scheduler %s has workers again", scheduler)
        _away.discard(scheduler)


@overload
def spread(
    work: Task[P, Coroutine[Any, Any, R]],
    parts: Iterable[Mapping[str, Any]],
    *,
    among: tuple[str, ...],
    patience_seconds: float,
) -> Iterator[R | NotBroughtBack]: ...


@overload
def spread(
    work: Task[P, R],
    parts: Iterable[Mapping[str, Any]],
    *,
    among: tuple[str, ...],
    patience_seconds: float,
) -> Iterator[R | NotBroughtBack]: ...


def spread(
    work: Task[..., Any],
    parts: Iterable[Mapping[str, Any]],
    *,
    among: tuple[str, ...],
    patience_seconds: float,
) -> Iterator[Any]:
    """What the workers give for each part, in the order of the parts.

    The n-th part goes to the n-th worker, round and round, as long as that one lives: a worker
    then meets again what it knows. Blocks while a part is worked on.

    Args:
        work: the step, called with a part as its keyword arguments.
        parts: taken as workers get free; what they hold is pickled.
        among: the answer of `workers`, not empty.
        patience_seconds: how long one part is waited for after it was given away.
    """
    from dask.base import annotate  # noqa: PLC0415 - of the extra

    on_the_way: deque[Callable[[], Any]] = deque()
    for number, part in enumerate(parts):
        if len(on_the_way) >= AHEAD * len(among):
            yield on_the_way.popleft()()
        with annotate(workers=[among[number % len(among)]], allow_other_workers=True):
            on_the_way.append(_given(work, part, until=monotonic() + patience_seconds))
    while on_the_way:
        yield on_the_way.popleft()()


def _given(work: Task[..., Any], part: Mapping[str, Any], *, until: float) -> Callable[[], Any]:
    """What waits for the answer to this part."""
    try:
        future: Any = work.submit(**part)
    except Exception as error:  # noqa: BLE001 - whatever a lost scheduler comes to
        return partial(_lost, error)
    return partial(_brought, future, until=until)


def _brought(future: Any, *, until: float) -> Any:  # noqa: ANN401 - Prefect's, a step's answer
    try:
        return future.result(timeout=max(0.0, until - monotonic()))
    except TimeoutError:
        future.wrapped_future.cancel()
        return NotBroughtBack("no Dask worker gave it back in time")
    except Exception as error:  # noqa: BLE001 - a step's own, or what became of its worker
        return _lost(error)


def _lost(error: Exception) -> NotBroughtBack:
    why = " ".join(f"{type(error).__name__}: {error}".split())
    return NotBroughtBack(f"no Dask worker gave it back: {why}")
