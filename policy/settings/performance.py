"""Tuning of throughput: caching, batches, compression, connections."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from policy.settings.section import Section
from policy.settings.values import Count, PositiveDuration


class Redis(Section):
    """The Redis that keeps the cache, when it is not kept in memory."""

    url: SecretStr | None = None
    """A secret as a whole, because it may carry a password; None is the Redis of this machine."""


class Cache(Section):
    """What is kept for a while instead of being asked for again."""

    enabled: bool = True
    type: Literal["memory", "redis"] = "memory"
    size_mb: Annotated[int, Field(ge=1, alias="sizeMB")] = 256
    ttl: PositiveDuration = timedelta(minutes=5)
    redis: Redis = Redis()


class BatchProcessing(Section):
    """How many pages are read in one go, and how many requests are under way at once."""

    enabled: bool = True
    size: Count = 100
    max_concurrent: Count = 10


class Compression(Section):
    """Whether Mimir is asked to pack its answers, and how."""

    enabled: bool = True
    algorithm: Literal["gzip", "zstd", "lz4", "snappy"] = "gzip"


class ConnectionPool(Section):
    """The connections to Mimir that one look may open and keep."""

    max_connections: Count = 40
    max_keepalive: Annotated[int, Field(ge=0)] = 40
    keep_alive: PositiveDuration = timedelta(seconds=5)


class GarbageCollection(Section):
    """Of a program in Go. This one is not: see policy.settings.futile."""

    also_spelled: ClassVar[Mapping[str, str]] = {"gcPercent": "percent", "gogc": "percent"}

    enabled: bool = True
    percent: Count = 100


class Performance(Section):
    """Tuning of throughput."""

    also_spelled: ClassVar[Mapping[str, str]] = {"caching": "cache"}

    enabled: bool = True
    cache: Cache = Cache()
    batch_processing: BatchProcessing = BatchProcessing()
    compression: Compression = Compression()
    connection_pool: ConnectionPool = ConnectionPool()
    gc: GarbageCollection = GarbageCollection()

    @property
    def in_force(self) -> Performance:
        """What applies: while the section is off, no cache and the defaults for the rest."""
        return self if self.enabled else UNTUNED


UNTUNED = Performance(cache=Cache(enabled=False))
