"""Which processes crashed, told apart from those that are rolled out, scaled down or moved.

A rollout restarts each process once, one or one zone after another; a scale-down takes processes
out of discovery. So one restart, and one process that does not answer, prove nothing. It is a
crash when

- Kubernetes restarted the container within its pod twice in 15 minutes, or once for want of
  memory: a rollout makes new pods, and their counts begin at zero;
- the same process restarted twice within 5 minutes, by its own word: a rollout that is rolled back
  takes longer;
- a process restarted whose memory was over a threshold of an emergency in the looks before;
- at least two processes of a component, and at least half of it, that answered before have not
  answered for a minute and are still known. A zone is a third of a component.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from policy.emergency.readings import Look

REMEMBERED: Final = timedelta(minutes=15)
"""Who is gone for longer was taken away for good."""
LOOP: Final = timedelta(minutes=5)
"""How far apart two restarts are one loop."""
GONE_FOR: Final = timedelta(minutes=1)
_TWICE: Final = 1.5  # Prometheus' increase() is no whole number
_ONCE: Final = 0.5
_AT_LEAST: Final = 2
_SLACK: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is remembered of the processes.

    Attributes:
        alive: who answered at the newest look.
        gone: since when who answered before does not.
        restarted: when who last started anew.
    """

    alive: tuple[str, ...] = ()
    gone: Mapping[str, datetime] = field(default_factory=dict)
    restarted: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A process that crashed, and how that shows."""

    pod: str
    component: str | None
    why: str


def watched(before: Watch, look: Look) -> Watch:
    """What is remembered after this look."""
    return Watch(
        alive=tuple(sorted(pod for pod, up in look.up.items() if up)),
        gone={
            pod: before.gone.get(pod, look.at)
            for pod, up in sorted(look.up.items())
            if not up
            and (pod in before.alive or pod in before.gone)
            and look.at - before.gone.get(pod, look.at) < REMEMBERED
        },
        restarted={
            **{pod: at for pod, at in before.restarted.items() if look.at - at < LOOP},
            **dict.fromkeys(sorted(_restarts(before, look)), look.at),
        },
    )


def crashes(before: Watch, look: Look, *, after: Watch, full: Collection[str]) -> list[Crash]:
    """The crashes that this look shows, by process.

    Args:
        before: what was remembered until now.
        look: this look.
        after: what is remembered from now on.
        full: processes whose memory was over its threshold in the looks before.
    """
    found = dict(_shown(before, look, after=after, full=full))
    return [
        Crash(pod=pod, component=look.components.get(pod), why=found[pod]) for pod in sorted(found)
    ]


def _shown(
    before: Watch, look: Look, *, after: Watch, full: Collection[str]
) -> Iterator[tuple[str, str]]:
    for pod in _missing_together(look, gone=after.gone):
        yield pod, "does not answer, with half of its component or more"
    for pod in _restarts(before, look):
        last = before.restarted.get(pod)
        if last is not None and look.at - last < LOOP:
            yield pod, "restarted twice within 5 minutes"
        elif pod in full:
            yield pod, "restarted while its memory was full"
    for pod, times in look.container_restarts.items():
        if times >= _TWICE:
            yield pod, "its container restarted again and again"
        elif times >= _ONCE and pod in look.oom_killed:
            yield pod, "its container was killed for want of memory"


def _restarts(before: Watch, look: Look) -> set[str]:
    """Who started anew, also who was not there to be seen doing it."""
    back = {
        pod
        for pod, since in before.gone.items()
        if look.up.get(pod) and pod in look.uptime and look.uptime[pod] < look.at - since + _SLACK
    }
    return set(look.restarted) | back


def _missing_together(look: Look, *, gone: Mapping[str, datetime]) -> Iterator[str]:
    of: dict[str | None, list[str]] = {}
    for pod in look.up:
        of.setdefault(look.components.get(pod), []).append(pod)
    for pods in of.values():
        missing = [pod for pod in pods if pod in gone and look.at - gone[pod] >= GONE_FOR]
        if len(missing) >= _AT_LEAST and 2 * len(missing) >= len(pods):
            yield from missing
