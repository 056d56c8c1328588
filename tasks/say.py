"""The lines that a person came to see: one per decision, on a logger of their own.

Free of Prefect, so that logging can be set up before Prefect reads its environment.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

DECISIONS: Final = "mlo.decisions"

_decisions = logging.getLogger(DECISIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, in words for people and in fields for programs.

    Attributes:
        component: what did it.
        action: what happened, the same words each time.
        words: the whole line as people read it; it has the words of the action in it.
        tenant: whose it is; None: of the whole cluster.
        details: what JSON can hold.
    """

    component: str
    action: str
    words: str
    tenant: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def say(lines: Iterable[str | Event]) -> None:
    """Write each line as a decision."""
    for line in lines:
        if isinstance(line, Event):
            _decisions.info("%s", line.words, extra={"event": line})
        else:
            _decisions.info("%s", line)
