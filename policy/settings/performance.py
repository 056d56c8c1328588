"""Tuning of throughput: caching, batches, compression."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from policy.settings.section import Section
from policy.settings.values import Count, PositiveDuration


class Cache(Section):
    """What is kept for a while instead of being asked for again."""

    enabled: bool = True
    type: Literal["memory", "redis"] = "memory"
    size_mb: Annotated[int, Field(ge=1, alias="sizeMB")] = 256
    ttl: PositiveDuration = timedelta(minutes=5)


class BatchProcessing(Section):
    """How much is done in one go, and how many goes at once."""

    enabled: bool = True
    size: Count = 100
    max_concurrent: Count = 10


class Compression(Section):
    """Whether bodies are compressed."""

    enabled: bool = False
    algorithm: Literal["gzip", "lz4", "snappy"] = "gzip"


class Performance(Section):
    """Tuning of throughput."""

    also_spelled: ClassVar[Mapping[str, str]] = {"caching": "cache"}

    enabled: bool = True
    cache: Cache = Cache()
    batch_processing: BatchProcessing = BatchProcessing()
    compression: Compression = Compression()
