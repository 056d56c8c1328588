"""What the flows last did, kept in memory for probes and the start-up of the next run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

STALLED_AFTER_INTERVALS: Final = 20
STALLED_AT_LEAST: Final = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True)
class FlowVitals:
    """The newest run of one flow; times are aware UTC."""

    started_at: datetime
    finished_at: datetime | None = None
    succeeded_at: datetime | None = None
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class Vitals:
    """The newest run of each flow, and how much of Mimir answered the newest scrape.

    Written by one flow thread at a time per flow and read by the endpoint: each write is one
    assignment, so no lock is needed.
    """

    born_at: datetime
    flows: dict[str, FlowVitals] = field(default_factory=dict)
    coverage: float | None = None
    store: Callable[[], str | None] = lambda: None
    """Why the history is not open; None: it is."""

    def began(self, flow: str, *, at: datetime) -> None:
        """A run of the flow began."""
        known = self.flows.get(flow)
        self.flows[flow] = FlowVitals(
            started_at=at, succeeded_at=known.succeeded_at if known else None
        )

    def ended(self, flow: str, *, at: datetime, problem: str | None) -> None:
        """A run of the flow ended; `problem` is one line when it failed."""
        newest = self.flows[flow]
        newest.finished_at = at
        newest.problem = problem
        if problem is None:
            newest.succeeded_at = at

    def problems(self, *, now: datetime, stale_after: timedelta) -> list[str]:
        """Why we are not ready, one line each; empty when we are."""
        protect = self.flows.get("protect")
        found = []
        if protect is None or protect.succeeded_at is None:
            reason = f": {protect.problem}" if protect and protect.problem else ""
            found.append(f"protect has not succeeded yet{reason}")
        elif now - protect.succeeded_at > stale_after:
            seconds = (now - protect.succeeded_at).total_seconds()
            reason = f": {protect.problem}" if protect.problem else ""
            found.append(f"protect last succeeded {seconds:.0f} s ago{reason}")
        if self.coverage == 0:
            found.append("no Mimir process answered the newest scrape")
        unusable = self.store()
        if unusable is not None:
            found.append(unusable)
        return found

    def components(self) -> dict[str, str | None]:
        """Why each part does not work, None where it does; what has not run yet is not in it."""
        found = {name: flow.problem for name, flow in sorted(self.flows.items())}
        if self.coverage is not None:
            silent = "no process answered the newest look"
            found["mimir"] = None if self.coverage > 0 else silent
        found["history"] = self.store()
        return found

    def stalled(self, *, now: datetime, interval: timedelta) -> bool:
        """Whether nothing has begun for so long that only a restart can help."""
        newest = max((flow.started_at for flow in self.flows.values()), default=self.born_at)
        return now - newest > max(STALLED_AT_LEAST, STALLED_AFTER_INTERVALS * interval)

    def as_json(self) -> dict[str, dict[str, str | None]]:
        """Times and problems by flow, for the health page."""
        return {
            name: {
                "started_at": flow.started_at.isoformat(),
                "succeeded_at": flow.succeeded_at.isoformat() if flow.succeeded_at else None,
                "problem": flow.problem,
            }
            for name, flow in self.flows.items()
        }
