"""One tenant on one distributor: requests come in, the limiter drops some, the rest is counted."""

from __future__ import annotations

from typing import Final

from simulator.limiter import Limiter

# Mimir forgets a tenant that has sent nothing for this long: its counters vanish.
FORGET_AFTER_SECONDS: Final = 900.0

# What the limiter meters beside samples.
EXEMPLARS_PER_SAMPLE: Final = 0.001
METADATA_PER_SAMPLE: Final = 0.002
_METERED_PER_SAMPLE: Final = 1.0 + EXEMPLARS_PER_SAMPLE + METADATA_PER_SAMPLE


class TenantOnDistributor:
    """Counters of one tenant, in samples and requests since the process started.

    Attributes:
        requests_in: asked for; `read_requests` are those that passed the limit on requests, and
            `received_requests` those that passed the one on samples, too.
        dropped: samples of the newest push that a limit refused.
        latest_seen: Unix time of the newest sample, None while the tenant is forgotten.
    """

    __slots__ = (
        "_limiter",
        "_pending",
        "_requests_limiter",
        "_size",
        "dropped",
        "latest_seen",
        "read_requests",
        "received_requests",
        "requests_in",
        "samples_per_request",
    )

    def __init__(
        self, limiter: Limiter, *, requests_limiter: Limiter, samples_per_request: int
    ) -> None:
        self._limiter = limiter
        self._requests_limiter = requests_limiter
        self._size = samples_per_request * _METERED_PER_SAMPLE
        self._pending = 0.0
        self.samples_per_request = samples_per_request
        self.requests_in = self.read_requests = self.received_requests = self.dropped = 0
        self.latest_seen: float | None = None

    def push(self, samples: float, *, now: float, seconds: float) -> int:
        """Take the samples of the last `seconds`; answer how many of them passed."""
        self._pending += samples
        requests = int(self._pending // self.samples_per_request)
        self.dropped = 0
        if requests == 0:
            self._forget_when_idle(now)
            return 0
        self._pending -= requests * self.samples_per_request
        # The number of requests is checked first: of a refused one nobody knows the samples.
        read = self._requests_limiter.admit(requests, size=1.0, now=now, seconds=seconds)
        admitted = self._limiter.admit(read, size=self._size, now=now, seconds=seconds)
        self.requests_in += requests
        self.read_requests += read
        self.received_requests += admitted
        self.dropped = (requests - admitted) * self.samples_per_request
        self.latest_seen = now
        return admitted * self.samples_per_request

    def passing(self, samples: float, *, now: float, seconds: float) -> float:
        """How many of these samples may pass, at the most."""
        return min(samples, self._limiter.room(now=now, seconds=seconds))

    def _forget_when_idle(self, now: float) -> None:
        if self.latest_seen is not None and now - self.latest_seen > FORGET_AFTER_SECONDS:
            self.latest_seen = None
            self.requests_in = self.read_requests = self.received_requests = 0
