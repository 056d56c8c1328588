"""Keep answers in Redis, and go on without it when it does not answer.

A Redis that fails is told once, is left alone for a while, and never fails a run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import redis

from policy.errors import ConfigError
from tasks.cache import count

REST_SECONDS: Final = 30.0  # how long a Redis that failed is not asked again
_LONGEST_SECONDS: Final = 1.0  # for a connection, and for an answer
_PREFIX: Final = "mimir-limit-optimizer:"

_log = logging.getLogger(__name__)


class RedisCache:
    """What several processes share, and what outlives each; Redis bounds its own memory."""

    def __init__(
        self,
        url: str,
        *,
        size_bytes: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect when first asked.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with the password if it needs one.
            size_bytes: what is bigger is not kept.
            ttl_seconds: how long anything is kept.
            clock: seconds from anywhere.

        Raises:
            ConfigError: `url` is none of these.
        """
        # Not the asyncio client: its connections belong to one event loop, and each lane has one.
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=_LONGEST_SECONDS, socket_connect_timeout=_LONGEST_SECONDS
            )
        except ValueError:
            raise ConfigError(
                "performance.cache.redis.url is not the address of a Redis: "
                "write it like redis://redis:6379/0"
            ) from None  # what was raised may repeat a password
        self._size_bytes = size_bytes
        self._ttl_ms = max(1, round(ttl_seconds * 1000))
        self._clock = clock
        self._rests_until: float | None = None

    async def get(self, key: str) -> bytes | None:
        """What is kept, or None; None too while Redis does not answer."""
        found = await self._ask(lambda: self._redis.get(_PREFIX + key))
        if self._rests_until is None:
            count("miss" if found is None else "hit")
        else:
            count("unavailable")
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, content: bytes) -> None:
        """Keep it, unless it is too big or Redis does not answer."""
        if len(content) <= self._size_bytes:
            await self._ask(lambda: self._redis.set(_PREFIX + key, content, px=self._ttl_ms))

    async def _ask(self, question: Callable[[], object]) -> object:
        if self._rests_until is not None and self._clock() < self._rests_until:
            return None
        try:
            answer = await asyncio.to_thread(question)
        except redis.RedisError as error:
            if self._rests_until is None:
                # The class alone: the message of some errors repeats the address.
                _log.warning("Redis gives no answer (%s): going on without", type(error).__name__)
            self._rests_until = self._clock() + REST_SECONDS
            return None
        if self._rests_until is not None:
            _log.warning("Redis answers again")
            self._rests_until = None
        return answer
