"""The one tree of errors that are raised on purpose.

An error is a sentence for the operator: what is wrong, where, and what to do. It never
carries a secret. Three verbs say what may follow:

    OptimizerError
    ├── ConfigError        the operator must change something; retrying is useless
    ├── SkippableError     leave this pod or tenant out of this run, go on with the rest
    └── RetriableError     the same call may succeed later
        └── Conflict       someone else changed the object since it was read
"""

from __future__ import annotations


class OptimizerError(Exception):
    """Root of everything that is raised on purpose."""


class ConfigError(OptimizerError):
    """The operator must change something; retrying is useless."""


class SkippableError(OptimizerError):
    """Leave this subject (a pod, a tenant) out of this run and go on with the rest."""


class RetriableError(OptimizerError):
    """The same call may succeed later.

    Attributes:
        retry_after_seconds: what the other side asked for, or None when it did not say.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Conflict(RetriableError):  # noqa: N818 - the name HTTP and Kubernetes give it
    """Someone else changed the object since it was read; read it again and decide again."""
