"""The whole loop, for what it asks of Kubernetes."""

from __future__ import annotations

from tests.flows.conftest import new_world

__all__ = ["new_world"]
