"""Keep answers that change slowly for a while, in memory or in Redis, instead of asking again.

A cache is a convenience: one that does not answer is told once, left alone for a while, and
never fails a run. What is kept is bounded in bytes and in time.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Final, Literal, Protocol

from policy.settings.performance import Cache as CacheSettings

MEGABYTE: Final = 2**20
REDIS_HERE: Final = "redis://127.0.0.1:6379/0"

Outcome = Literal["hit", "miss", "unavailable"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("hit", "miss", "unavailable")


class Cache(Protocol):
    """Bytes by key, for a while. Neither function raises."""

    async def get(self, key: str) -> bytes | None:
        """What is kept, or None."""

    async def put(self, key: str, content: bytes) -> None:
        """Keep it until its time is over or its room is needed."""


class MemoryCache:
    """What was used last, of this process; its threads may share it."""

    def __init__(
        self,
        *,
        size_bytes: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty one; `clock` is in seconds from anywhere."""
        self._size_bytes = size_bytes
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._used_bytes = 0
        self._lock = Lock()

    async def get(self, key: str) -> bytes | None:
        """What is kept, or None."""
        with self._lock:
            until, content = self._kept.get(key, (0.0, None))
            if content is None:
                count("miss")
                return None
            if self._clock() >= until:
                self._drop(key)
                count("miss")
                return None
            self._kept.move_to_end(key)
        count("hit")
        return content

    async def put(self, key: str, content: bytes) -> None:
        """Keep it; what was not used for longest goes first. What is too big is not kept."""
        with self._lock:
            self._drop(key)
            if len(content) > self._size_bytes:
                return
            self._kept[key] = (self._clock() + self._ttl_seconds, content)
            self._used_bytes += len(content)
            while self._used_bytes > self._size_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        _, content = self._kept.pop(key, (0.0, b""))
        self._used_bytes -= len(content)


@lru_cache(maxsize=2)
def cache_of(settings: CacheSettings) -> Cache | None:
    """The cache that the settings describe, the same one while they stay the same.

    Returns:
        None when it is switched off.

    Raises:
        ConfigError: the address of Redis is none.
    """
    if not settings.enabled:
        return None
    size_bytes = settings.size_mb * MEGABYTE
    ttl_seconds = settings.ttl.total_seconds()
    if settings.type == "redis":
        from tasks.redis_cache import RedisCache  # noqa: PLC0415 - rarely needed, slow to import

        url = settings.redis.url
        address = url.get_secret_value() if url else REDIS_HERE
        return RedisCache(address, size_bytes=size_bytes, ttl_seconds=ttl_seconds)
    return MemoryCache(size_bytes=size_bytes, ttl_seconds=ttl_seconds)


# One count for the process, like the caches themselves: clients are made deep down, per look.
_lookups: Counter[Outcome] = Counter()
_counting: Final = Lock()


def lookups() -> dict[Outcome, int]:
    """How often a cache of this process was asked, by outcome."""
    with _counting:
        return {outcome: _lookups[outcome] for outcome in OUTCOMES}


def count(outcome: Outcome) -> None:
    """One more look into a cache."""
    with _counting:
        _lookups[outcome] += 1
