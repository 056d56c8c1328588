"""How often somebody may ask: a bucket of tokens for each who asks, and a smaller one to change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from typing import Final

from fastapi import HTTPException, Request, status

MOST_KNOWN: Final = 1_000
"""Of those who asked the longest ago nothing is remembered: their buckets are full again."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """So many requests at once, and so many a second on."""

    at_once: float
    per_second: float


READS: Final = Allowance(at_once=100, per_second=20)
WRITES: Final = Allowance(at_once=10, per_second=1)


@dataclass(slots=True, kw_only=True)
class Buckets:
    """Who has asked how often.

    Attributes:
        seconds: a clock that only goes on.
        reads: what anybody may read.
        writes: what anybody may change.
    """

    seconds: Callable[[], float]
    reads: Allowance = READS
    writes: Allowance = WRITES
    _left: OrderedDict[tuple[str, bool], tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def admit(self, request: Request) -> None:
        """Take a token of whoever asks.

        Raises:
            HTTPException: 429 with Retry-After where none is left.
        """
        who = request.client.host if request.client else ""
        waits = self._waits(who, reads=request.method in SAFE)
        if waits > 0:
            raise HTTPException(
                status.HTTP_429_TOO_MANY_REQUESTS,
                "too many requests; ask again later",
                headers={"Retry-After": str(ceil(waits))},
            )

    def _waits(self, who: str, *, reads: bool) -> float:
        """For how many seconds the next token lets wait; 0: it was there, and is taken."""
        allowance, now = self.reads if reads else self.writes, self.seconds()
        with self._lock:
            left, since = self._left.pop((who, reads), (allowance.at_once, now))
            left = min(allowance.at_once, left + (now - since) * allowance.per_second)
            taken = left >= 1
            self._left[who, reads] = (left - 1 if taken else left, now)
            if len(self._left) > MOST_KNOWN:
                self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / allowance.per_second
