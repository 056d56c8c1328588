"""A token bucket that lets whole requests pass or drops them, as Mimir's limiter does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

RECHECK_SECONDS: Final = 10.0


class Rate(NamedTuple):
    """What one distributor grants a tenant: samples/s, and samples at once."""

    per_second: float
    burst: float


class Limiter:
    """One tenant's bucket on one distributor; it starts full.

    The limit is looked up again only every ten seconds, whatever the runtime file says.
    """

    __slots__ = ("_filled_at", "_look_up", "_next_recheck", "_rate", "_tokens")

    def __init__(self, look_up: Callable[[], Rate], *, now: float, next_recheck: float) -> None:
        self._look_up = look_up
        self._rate = look_up()
        self._tokens = self._rate.burst
        self._filled_at = now
        self._next_recheck = next_recheck

    def admit(self, requests: int, *, size: float, now: float, seconds: float) -> int:
        """How many of the requests pass, each of `size` samples, over the last `seconds`."""
        if now >= self._next_recheck:
            self._rate = self._look_up()
            missed = (now - self._next_recheck) // RECHECK_SECONDS
            self._next_recheck += (missed + 1) * RECHECK_SECONDS
        rate = self._rate
        available = self.room(now=now, seconds=seconds)
        # A request larger than the bucket never passes, however long it waits.
        admitted = min(requests, int(available // size)) if size <= rate.burst else 0
        self._tokens = min(available - admitted * size, rate.burst)
        self._filled_at = now
        return admitted

    def room(self, *, now: float, seconds: float) -> float:
        """Samples that may pass over the last `seconds`, by the limit that is known."""
        rate = self._rate
        idle_seconds = max(0.0, now - self._filled_at - seconds)
        full = min(rate.burst, self._tokens + rate.per_second * idle_seconds)
        return full + rate.per_second * seconds
