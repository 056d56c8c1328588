"""What a sink is: the one place where a runtime file is read and replaced.

A sink replaces a document only where it still is the version that was read; it never merges,
and it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A document as it was read.

    Attributes:
        document: None where there is none yet.
        version: names exactly what was read.
        epoch: that of the writer who was the last to fence the place; 0 where nobody was.
        paused: why nothing may be written there, by a word at the place itself; None: it may.
    """

    document: bytes | None
    version: str
    epoch: int = 0
    paused: str | None = None


class Sink(Protocol):
    """Where the runtime file lives."""

    @property
    def arrives_within(self) -> timedelta | None:
        """How long after a write every process of Mimir has it; None where a person decides."""

    def describe(self) -> str:
        """Where it writes, for people; no secrets."""

    def read(self) -> Published:
        """What is there now.

        Raises:
            ConfigError: it cannot be read, and retrying is useless.
            RetriableError: it cannot be read just now.
        """

    def write(self, document: bytes, *, if_version: str) -> str:
        """Replace the whole document.

        Args:
            document: the new content.
            if_version: the version that was read; anything else there is left alone.

        Returns:
            The version that is there now.

        Raises:
            Conflict: somebody else changed it since it was read.
            ConfigError: it cannot be written, and retrying is useless.
            RetriableError: it cannot be written just now.
        """


@runtime_checkable
class Fenced(Protocol):
    """A sink where a new writer can shut out the one before it, even one that sleeps."""

    def fence(self, epoch: int, *, if_version: str) -> str:
        """Leave our epoch there, so that whatever was read before this can no longer be replaced.

        Where nothing is there yet, it goes with the first document.

        Returns:
            The version that is there now.

        Raises:
            Conflict: it changed since it was read.
            OptimizerError: as `Sink.write`.
        """
