"""What is recommended and not in force, as YAML that an operator copies into their own file.

It is refused as a whole where Mimir would refuse it or get it wrong: who copies it publishes it
without us.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from deployments.mimir_version import running_version
from deployments.standing import standing_limits
from policy.document import HEADER, render
from policy.effective import beneath, overlaid
from policy.frames import LIMITS
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE
from policy.tuned import catalogue_of
from policy.validate import validate
from policy.versions import known_to
from storage import reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """YAML to copy.

    Attributes:
        document: `overrides:` and what belongs under it; None when nothing is to be changed.
        problems: why it must not be used; empty when it may be.
    """

    document: str | None = None
    problems: tuple[str, ...] = ()


async def snippet_of(standings: pl.DataFrame, *, settings: Settings) -> Snippet:
    """What these STANDINGS propose and what is not in force at this moment.

    Raises:
        StorageError: the history cannot be reached.
        ConfigError: the sink cannot be read, or holds what is not ours.
    """
    proposed = standings.select("tenant", "limit", value="proposed").drop_nulls("value")
    tenants = proposed["tenant"].unique()
    catalogue = catalogue_of(settings.limits)
    # A rate is checked against its burst, also where only one of the two is to change.
    limits = sorted({*proposed["limit"], INGESTION_RATE, INGESTION_BURST_SIZE})
    own = beneath(reading.observed(settings.storage.url), tenants=tenants, limits=limits)
    ours = standing_limits(settings).filter(pl.col("tenant").is_in(tenants.implode()))
    in_force = overlaid(own, above=ours)
    wanted = proposed.join(in_force, on=LIMITS.names(), how="anti")
    if wanted.is_empty():
        return Snippet()

    def problems(version: str | None) -> tuple[str, ...]:
        known = known_to(version, catalogue=catalogue)
        before = validate(in_force, known=known, catalogue=catalogue)
        after = validate(overlaid(in_force, above=wanted), known=known, catalogue=catalogue)
        return tuple(problem for problem in after if problem not in before)

    found = problems(None)
    if found:  # perhaps only because it is not known which names this Mimir takes
        found = problems(await running_version(settings))
    if found:
        return Snippet(problems=found)
    return Snippet(document=render(wanted).decode().removeprefix(HEADER))
