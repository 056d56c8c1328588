"""The audit log: whether it is kept, where, how much of it, and where else it is handed to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ByteSize, Field

from policy.settings.section import Section
from policy.settings.values import MIB, Count, MoreThanWhole, PositiveDuration, Size

_NAME: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"


class AuditConfigMap(Section):
    """The ConfigMap in `mimir.namespace` that mirrors the newest entries."""

    name: Annotated[str, Field(pattern=_NAME)] = "mimir-limit-optimizer-audit"


class AuditLog(Section):
    """What was decided and done, kept to be asked about."""

    enabled: bool = True
    storage_type: Literal["duckdb", "memory", "configmap"] = "duckdb"
    config_map: AuditConfigMap = AuditConfigMap()
    file: Path | None = None
    """JSON lines are appended to it; `-` is stdout."""
    max_entries: Count = 100_000
    max_age: PositiveDuration = timedelta(days=400)
    max_size: Size = ByteSize(100 * MIB)
    """Of the entries as they would be in a file; the file is begun anew at this size."""
    emergency_threshold: MoreThanWhole = 120.0
    """Percent of max_entries or max_size at which the oldest go before their time."""
