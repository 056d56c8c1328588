"""Ask several processes the same: the first that answers, or all that do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from policy.errors import OptimizerError
from tasks.http import MimirUnavailable

T = TypeVar("T")


async def first_answer(endpoints: Sequence[str], read: Callable[[str], Awaitable[T]]) -> T:
    """The answer of the first process that gives one.

    Raises:
        OptimizerError: none did; the error of the last one.
    """
    problem: OptimizerError = MimirUnavailable("mimir.endpoints names no process")
    for url in endpoints:
        try:
            return await read(url)
        except OptimizerError as exc:
            problem = exc
    raise problem


async def every_answer(endpoints: Sequence[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
    """The answers of all processes that give one.

    Raises:
        OptimizerError: none did; the error of the first one.
    """

    async def ask(url: str) -> T | OptimizerError:
        try:
            return await read(url)
        except OptimizerError as exc:
            return exc

    answers = await asyncio.gather(*map(ask, endpoints))
    told = [answer for answer in answers if not isinstance(answer, OptimizerError)]
    problems = [answer for answer in answers if isinstance(answer, OptimizerError)]
    if problems and not told:
        raise problems[0]
    return told
