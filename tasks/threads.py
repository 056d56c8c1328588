"""Blocking work off the event loop, so that a task's time-out can end the waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def threaded(work: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The function as a coroutine function that runs it in a thread.

    A time-out ends the waiting, not the thread: what it writes must be whole or nothing.
    """

    @wraps(work)
    async def in_thread(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(work, *args, **kwargs)

    return in_thread
