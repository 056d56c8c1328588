"""One tenant on one ingester: which series are in memory, and which new ones are turned away.

Series are counted, not kept. Those in memory are of three kinds: being sent, paused (the
tenant may send them again), and replaced (gone for good, in memory until the head is
compacted). The series limit stops only new ones.
"""

from __future__ import annotations

from typing import Final

from simulator.tenants import ACTIVE_IDLE_SECONDS, COMPACTION_SECONDS, Tenant

_RATE_WINDOW_SECONDS: Final = 15.0


class TenantOnIngester:
    """Series and samples of one tenant, replicated: the cluster's sums count each RF times.

    Attributes:
        created, removed: series since the process started; a restart replays those in memory.
        ingested, rejected: samples stored, and samples refused by the series limit.
        samples_per_second: stored of late.
    """

    __slots__ = (
        "_active",
        "_churn_per_second",
        "_next_compaction",
        "_paused",
        "_paused_throughout",
        "_replaced",
        "_replaced_before",
        "_sent",
        "_share",
        "created",
        "ingested",
        "rejected",
        "removed",
        "samples_per_second",
    )

    def __init__(
        self, tenant: Tenant, *, series: float, share: float, now: float, limit: int
    ) -> None:
        """Start with the series that the tenant sends cluster-wide now, and those it sent."""
        self._share = share
        self._churn_per_second = tenant.churn_per_second
        into = now % COMPACTION_SECONDS
        self._next_compaction = now - into + COMPACTION_SECONDS
        self._sent = min(series * share, float(limit))
        # The process has been up for a while: its memory holds what churned before.
        churned_per_second = self._sent * self._churn_per_second
        room = limit - self._sent
        self._replaced_before = min(room, churned_per_second * COMPACTION_SECONDS)
        self._replaced = min(room - self._replaced_before, churned_per_second * into)
        self._paused = self._paused_throughout = 0.0
        self._active = self._sent + churned_per_second * ACTIVE_IDLE_SECONDS
        self.created = self.memory
        self.removed = self.ingested = self.rejected = self.samples_per_second = 0.0

    @property
    def memory(self) -> float:
        """Series in memory."""
        return self._sent + self._paused + self._replaced + self._replaced_before

    @property
    def active(self) -> float:
        """Series with a sample in the last 20 minutes."""
        return self._active

    def ingest(
        self, *, samples: float, series: float | None, limit: int, now: float, seconds: float
    ) -> float:
        """Offer the samples of the last `seconds`; answer how many were stored.

        Args:
            samples: of the whole tenant, past the distributors.
            series: that the tenant wants to send cluster-wide, 0 when it is silent, None when
                no request of it happened to arrive.
            limit: series that this ingester may hold for the tenant.
            now: Unix seconds.
            seconds: how long the step is.
        """
        replaced = stored = 0.0
        if series is not None:
            wanted = series * self._share
            replaced = self._turn_over(wanted, limit=limit, seconds=seconds)
            stored = self._store(samples * self._share, wanted=wanted)
        weight = min(1.0, seconds / _RATE_WINDOW_SECONDS)
        self.samples_per_second += weight * (stored / seconds - self.samples_per_second)
        self._age_active(replaced, seconds=seconds)
        if now >= self._next_compaction:
            self._compact(now)
        return stored

    def restart(self) -> None:
        """Begin the counters again, with the series in memory replayed from the log."""
        self.created = self.memory
        self.removed = self.ingested = self.rejected = 0.0

    def _turn_over(self, wanted: float, *, limit: int, seconds: float) -> float:
        """Move series between the kinds and create what the limit allows; answer the replaced."""
        replaced = 0.0
        if wanted > 0.0:
            replaced = self._sent * min(1.0, self._churn_per_second * seconds)
            self._sent -= replaced
            self._replaced += replaced

        if self._sent > wanted:
            self._paused += self._sent - wanted
            self._sent = wanted
            return replaced

        resumed = min(self._paused, wanted - self._sent)
        self._paused -= resumed
        self._paused_throughout = min(self._paused_throughout, self._paused)
        created = min(wanted - self._sent - resumed, max(0.0, limit - self.memory - resumed))
        self._sent += resumed + created
        self.created += created
        return replaced

    def _age_active(self, replaced: float, *, seconds: float) -> None:
        idle = max(0.0, self._active - self._sent)
        idle -= idle * min(1.0, seconds / ACTIVE_IDLE_SECONDS)
        self._active = self._sent + min(idle + replaced, self.memory - self._sent)

    def _store(self, samples: float, *, wanted: float) -> float:
        stored = samples if wanted <= self._sent else samples * self._sent / wanted
        self.ingested += stored
        self.rejected += samples - stored
        return stored

    def _compact(self, now: float) -> None:
        """Drop what was not sent since the last compaction but one."""
        while now >= self._next_compaction:
            self._next_compaction += COMPACTION_SECONDS
        self.removed += self._replaced_before + self._paused_throughout
        self._replaced_before, self._replaced = self._replaced, 0.0
        self._paused -= self._paused_throughout
        self._paused_throughout = self._paused
