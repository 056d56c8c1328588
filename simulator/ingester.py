"""One tenant on one ingester: which series are in memory, and which new ones are turned away.

Series are counted, not kept. Those in memory are of four kinds: being sent, paused (the
tenant may send them again), replaced (gone for good, in memory until the head is compacted), and
exploded (of one metric, each with a single sample, and gone like the replaced ones). The limits
on series stop only new ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from simulator.tenants import ACTIVE_IDLE_SECONDS, COMPACTION_SECONDS, Tenant

_RATE_WINDOW_SECONDS: Final = 15.0


class Explosion(NamedTuple):
    """Series that are new with every sample.

    Attributes:
        series: how many arrived in the step, cluster-wide, a sample each.
        metric_limit: series that this ingester may hold of their one metric.
    """

    series: float
    metric_limit: int


class TenantOnIngester:
    """Series and samples of one tenant, replicated: the cluster's sums count each RF times.

    Attributes:
        created, removed: series since the process started; a restart replays those in memory.
        ingested, rejected: samples stored, and samples refused by a limit on series.
        rejected_by_metric: those of them that the limit on series per metric refused.
        samples_per_second: stored of late.
        share: the part of the tenant's series that is held here.
    """

    __slots__ = (
        "_active",
        "_churn_per_second",
        "_exploded",
        "_exploded_before",
        "_next_compaction",
        "_paused",
        "_paused_throughout",
        "_replaced",
        "_replaced_before",
        "_sent",
        "created",
        "ingested",
        "rejected",
        "rejected_by_metric",
        "removed",
        "samples_per_second",
        "share",
    )

    def __init__(
        self, tenant: Tenant, *, series: float, share: float, now: float, limit: int
    ) -> None:
        """Start with the series that the tenant sends cluster-wide now, and those it sent."""
        self.share = share
        self._churn_per_second = tenant.churn_per_second
        into = now % COMPACTION_SECONDS
        self._next_compaction = now - into + COMPACTION_SECONDS
        self._sent = min(series * share, float(limit))
        # The process has been up for a while: its memory holds what churned before.
        churned_per_second = self._sent * self._churn_per_second
        room = limit - self._sent
        self._replaced_before = min(room, churned_per_second * COMPACTION_SECONDS)
        self._replaced = min(room - self._replaced_before, churned_per_second * into)
        self._paused = self._paused_throughout = self._exploded = self._exploded_before = 0.0
        self._active = self._sent + churned_per_second * ACTIVE_IDLE_SECONDS
        self.created = self.memory
        self.removed = self.ingested = self.samples_per_second = 0.0
        self.rejected = self.rejected_by_metric = 0.0

    @property
    def exploded(self) -> float:
        """Series in memory of the one metric that explodes."""
        return self._exploded + self._exploded_before

    @property
    def memory(self) -> float:
        """Series in memory."""
        replaced = self._replaced + self._replaced_before
        return self._sent + self._paused + replaced + self.exploded

    @property
    def active(self) -> float:
        """Series with a sample in the last 20 minutes."""
        return self._active

    def ingest(
        self,
        *,
        samples: float,
        series: float | None,
        limit: int,
        now: float,
        seconds: float,
        explosion: Explosion | None = None,
    ) -> float:
        """Offer the samples of the last `seconds`; answer how many were stored.

        Args:
            samples: of the whole tenant, past the distributors, without those of the explosion.
            series: that the tenant wants to send cluster-wide, 0 when it is silent, None when
                no request of it happened to arrive.
            limit: series that this ingester may hold for the tenant.
            now: Unix seconds.
            seconds: how long the step is.
            explosion: what else arrived, of series that nobody has seen before.
        """
        replaced = stored = 0.0
        if series is not None:
            wanted = series * self.share
            replaced = self._turn_over(wanted, limit=limit, seconds=seconds)
            stored = self._store(samples * self.share, wanted=wanted)
        if explosion is not None:
            exploded = self._explode(explosion, limit=limit)
            replaced += exploded
            stored += exploded
        weight = min(1.0, seconds / _RATE_WINDOW_SECONDS)
        self.samples_per_second += weight * (stored / seconds - self.samples_per_second)
        self._age_active(replaced, seconds=seconds)
        if now >= self._next_compaction:
            self._compact(now)
        return stored

    def restart(self) -> None:
        """Begin the counters again, with the series in memory replayed from the log."""
        self.created = self.memory
        self.removed = self.ingested = self.rejected = self.rejected_by_metric = 0.0

    def forget_unsent(self) -> None:
        """Lose from memory all that is not being sent."""
        self._paused = self._paused_throughout = self._exploded = self._exploded_before = 0.0
        self._replaced = self._replaced_before = 0.0
        self._active = self._sent

    def _explode(self, explosion: Explosion, *, limit: int) -> float:
        """Create what the limits allow of the new series; answer how many."""
        wanted = explosion.series * self.share
        room = explosion.metric_limit - self.exploded
        of_metric = min(wanted, max(0.0, room))
        created = min(of_metric, max(0.0, limit - self.memory))
        self._exploded += created
        self.created += created
        self.ingested += created
        self.rejected += wanted - created
        self.rejected_by_metric += wanted - of_metric
        return created

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
        self.removed += self._replaced_before + self._paused_throughout + self._exploded_before
        self._replaced_before, self._replaced = self._replaced, 0.0
        self._exploded_before, self._exploded = self._exploded, 0.0
        self._paused -= self._paused_throughout
        self._paused_throughout = self._paused
