"""Ask a Prometheus, or a Mimir, what tenants used on a past day.

A day is a handful of questions, answered by the hour; no more of them are under way than
`promql.maxConcurrentQueries`. Partial answers are refused: they look like a day with less usage.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import httpx
import polars as pl

from policy.clocks import MEND, skew
from policy.cost.backfill import ANSWER, HOUR, Filled, filled
from policy.cost.periods import Period
from policy.cost.questions import Kind, kind_question, looks_question, questions
from policy.errors import OptimizerError
from policy.settings.promql import Promql
from tasks.promql_http import Asking, PromqlUnavailable
from tasks.promql_matrix import TENANT, read_matrix

NAME: Final = "__name__"


class Source(Protocol):
    """Where past days come from."""

    @property
    def kind(self) -> str:
        """What kind of source: promql or file."""

    @property
    def origin(self) -> str:
        """Which one."""

    async def day(self, day: Period) -> Filled:
        """What is known of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromqlSource:
    """Days from what answers PromQL.

    Attributes:
        client: of `tasks.promql_http.promql_client`.
        clock: aware UTC.
        sleep: waits so many seconds before a question is asked again.
        chance: gives a number from 0 to 1.
    """

    promql: Promql
    client: httpx.AsyncClient
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    kind: str = "promql"

    @property
    def origin(self) -> str:
        """Which server it is."""
        return self.promql.url

    async def day(self, day: Period) -> Filled:
        """Ask about one day; every question is asked again by itself while there is time.

        Raises:
            PromqlUnavailable: no whole answer came within `promql.totalTimeout`.
            ConfigError: the address, the credentials or the matchers are wrong.
        """
        total = self.promql.total_timeout.total_seconds()
        asking = Asking(
            promql=self.promql,
            client=self.client,
            at=day.end,
            since=day.start + HOUR,
            every=HOUR,
            clock=self.clock,
            deadline=asyncio.get_running_loop().time() + total,
            sleep=self.sleep,
            chance=self.chance,
        )
        try:
            async with asyncio.timeout(total):
                return await _asked(asking, day=day)
        except TimeoutError as error:
            raise PromqlUnavailable(
                f"{self.promql.url} did not answer all of {day.start:%Y-%m-%d} within {total:g} s "
                "(promql.totalTimeout): give it longer, or narrow promql.matchers"
            ) from error
        except OptimizerError as refusal:
            if (found := skew(asking.ahead)) is None:
                raise
            raise PromqlUnavailable(f"{refusal}; {found.words}: {MEND}") from refusal


async def _asked(asking: Asking, *, day: Period) -> Filled:
    promql = asking.promql
    kinds, looks = await _all(
        asking,
        {
            "kinds": kind_question(matchers=promql.matchers),
            "looks": looks_question(matchers=promql.matchers),
        },
    )
    highest = kinds.group_by(NAME).agg(pl.col("value").max())
    kind = Kind.told_by(dict(highest.cast({NAME: pl.String()}).iter_rows()))
    asked = questions(kind, matchers=promql.matchers, pod_label=promql.pod_label)
    answers = await _all(asking, asked)
    told = {
        signal: answer.select(ANSWER.names()) for signal, answer in zip(asked, answers, strict=True)
    }
    return await asyncio.to_thread(filled, day, answers=told, looks=looks.select(ANSWER.names()))


async def _all(asking: Asking, asked: Mapping[str, str]) -> list[pl.DataFrame]:
    """The answers, in order; the first refusal ends the other questions."""

    async def answered(query: str) -> pl.DataFrame:
        packed = await asking.packed(query)
        return await asyncio.to_thread(
            lambda: read_matrix(
                asking.unpacked(packed), labels=(TENANT, NAME), where=asking.promql.url
            )
        )

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answered(query)) for query in asked.values()]
    except ExceptionGroup as refusals:
        raise refusals.exceptions[0] from None
    return [task.result() for task in tasks]
