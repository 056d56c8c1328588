"""The errors of the history: one line each, with the way out."""

from __future__ import annotations

from policy.errors import ConfigError, RetriableError


class StorageError(ConfigError):
    """The history cannot be opened, or a query about it cannot be answered."""


class StorageUnavailable(RetriableError):  # noqa: N818 - a state of the disk, not of the code
    """The history could not be written now; nothing of the transaction was kept."""
