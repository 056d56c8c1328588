"""What would be published, worked out by a command from the history."""

from __future__ import annotations

import asyncio
from datetime import datetime

import polars as pl

from deployments.mimir_version import running_version
from policy.plan import Plan, Terms, plan
from policy.room import most_bytes
from policy.settings import Settings
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to
from storage import reading
from storage.database import Database


def planned(
    settings: Settings,
    *,
    layers: pl.DataFrame,
    holds: pl.DataFrame,
    stands: pl.DataFrame,
    now: datetime,
    where: str | Database | None = None,
) -> Plan:
    """The plan of this moment, against the version of Mimir where that matters.

    Args:
        settings: for the bounds, the catalogue, and where Mimir and the history are.
        layers: LAYERS.
        holds: HOLDS.
        stands: LIMITS that are published now.
        now: aware UTC.
        where: the history; None: as the settings name it.

    Raises:
        StorageError: the history cannot be reached.
    """
    observed = reading.observed(where or settings.storage.url)
    catalogue = catalogue_of(settings.limits)

    def against(version: str | None) -> Plan:
        return plan(
            layers,
            observed=observed,
            standing=stands,
            bounds=bounds_of(settings.limits),
            terms=Terms(
                known=known_to(version, catalogue=catalogue),
                catalogue=catalogue,
                max_bytes=most_bytes(settings.publish),
            ),
            now=now,
            holds=holds,
        )

    found = against(None)
    # Only a name that some version does not know makes it worth to wait for Mimir's answer.
    return against(asyncio.run(running_version(settings))) if found.problems else found
