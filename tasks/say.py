"""The lines that a person came to see: one per decision, on a logger of their own.

Free of Prefect, so that logging can be set up before Prefect reads its environment.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

DECISIONS: Final = "mlo.decisions"

_decisions = logging.getLogger(DECISIONS)


def say(lines: Iterable[str]) -> None:
    """Write each line as a decision."""
    for line in lines:
        _decisions.info("%s", line)
