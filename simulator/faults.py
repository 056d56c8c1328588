"""What a drill may do to the simulated cluster: break a process, or let a tenant blast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

FaultKind = Literal["unreachable", "truncated", "refuse_reload", "reset"]
FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One process misbehaves for a while.

    Attributes:
        process: such as `ingester-1`.
        kind: `unreachable` answers 503, `truncated` cuts the metrics page in the middle,
            `refuse_reload` rejects every runtime file, `reset` restarts the process at once.
        seconds: how long it lasts, None until it is cleared; `reset` is over at once.
    """

    process: str
    kind: FaultKind
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """One tenant sends `factor` times its samples and series until `until`, in Unix seconds."""

    factor: float
    until: float
