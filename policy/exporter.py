"""The limits in force as Mimir's or Cortex's overrides-exporter shows them in a scrape.

Mimir's leaves out overrides that equal the default, shows the defaults beside them, and shows
only the limits it was told to. Cortex's shows every limit of each tenant that has an override,
and no defaults: of other tenants it says nothing. Switches and durations are shown as numbers
too; they are no limits of ours and are left out.
"""

from __future__ import annotations

import polars as pl

from policy.catalogue import numbers
from policy.effective import EVERYONE
from policy.frames import LIMITS
from policy.scrape import CORTEX_OVERRIDES, LIMITS_DEFAULTS, LIMITS_OVERRIDES
from policy.sources import Source, Told


def exported_limits(readings: pl.DataFrame) -> Told | None:
    """What the exporters among the pods show; None where no pod is one.

    Where several do, the highest value counts, as on Mimir's own dashboards.

    Args:
        readings: READINGS of a scrape.
    """
    families = pl.col("family")
    shown = readings.filter(
        families.is_in([LIMITS_OVERRIDES, LIMITS_DEFAULTS, CORTEX_OVERRIDES])
        & pl.col("limit_name").is_in(list(numbers()))
        & pl.col("value").is_not_nan()
    )
    if shown.is_empty():
        return None
    rows = (
        shown.with_columns(
            tenant=pl.when(families == LIMITS_DEFAULTS).then(pl.lit(EVERYONE)).otherwise("user")
        )
        .drop_nulls("tenant")
        .group_by("tenant", limit="limit_name")
        .agg(pl.col("value").max())
        .select(LIMITS.names())
        .cast(LIMITS)
    )
    defaults = rows.filter(pl.col("tenant") == EVERYONE)
    return Told(
        source=Source.EXPORTER,
        limits=rows.filter(pl.col("tenant") != EVERYONE),
        defaults=defaults,
        omits_defaults=not defaults.is_empty(),
    )
