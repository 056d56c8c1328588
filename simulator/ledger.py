"""What really became of each tenant's samples and queries: no page tells it so plainly.

It outlives the restarts of processes, so that a trial can be judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Account:
    """One tenant's, since the cluster began; replicas counted once.

    Attributes:
        asked: samples that it sent.
        admitted: samples that passed the distributors.
        limited: samples that a limit of the tenant refused: on the rate, on requests, on series.
        overloaded: samples that were lost for want of CPU, or of processes.
        queries: that it asked.
        queries_refused: of them, because its queue was full.
    """

    asked: float = 0.0
    admitted: float = 0.0
    limited: float = 0.0
    overloaded: float = 0.0
    queries: float = 0.0
    queries_refused: float = 0.0
