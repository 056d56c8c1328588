"""What a drill may do to the simulated cluster: break a process, or let a tenant blast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

FaultKind = Literal["unreachable", "truncated", "refuse_reload", "reset", "crash"]
FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)

BlastKind = Literal["samples", "series", "queries"]
BLAST_KINDS: Final[tuple[str, ...]] = get_args(BlastKind)

# In an explosion of series this is how long it takes to create as many as the factor says.
EXPLOSION_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One process misbehaves for a while.

    Attributes:
        process: such as `ingester-1`.
        kind: `unreachable` answers 503, `truncated` cuts the metrics page in the middle,
            `refuse_reload` rejects every runtime file, `reset` restarts the process at once, and
            `crash` takes it away until it has started again.
        seconds: how long it lasts, None until it is cleared; `reset` is over at once, and a crash
            without a length takes as long as a restart does.
    """

    process: str
    kind: FaultKind
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """One tenant asks for `factor` times its usual until `until`, in Unix seconds.

    Attributes:
        kind: `samples` is as many senders more: samples and the series they belong to; `series`
            is a label that is new with every sample: so many times its series are created in
            five minutes, and more for as long as it lasts; `queries` is what people ask.
    """

    factor: float
    until: float
    kind: BlastKind = "samples"
