"""The shapes of the tables that pass between the rooms.

Every function that takes or returns a frame names one of these schemas. Times are aware
UTC with microseconds; limits and demands are in the unit that Mimir documents for the
limit; a missing measurement is null, never zero and never NaN.
"""

from __future__ import annotations

from typing import Final

import polars as pl

UTC_TIME: Final = pl.Datetime("us", "UTC")
_LABEL: Final = pl.Categorical()

# One row per tenant and signal at one instant: what a tenant asked of the cluster.
# `signal` is the name of a Mimir limit where the value is the demand on that limit, and one
# of policy.signals otherwise. `coverage` is pods answered / pods known, 0..1.
SAMPLES: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "signal": pl.String(),
        "value": pl.Float64(),
        "coverage": pl.Float64(),
    }
)

# One row per sample of a scraped page that we asked for. Labels that a family does not carry
# are null. `at` is the moment the pod's answer began, per pod, because rates divide by it. Labels
# of few different values are categories: 4 bytes a row where text takes 16 and more.
READINGS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "pod": _LABEL,
        "family": _LABEL,
        "user": pl.String(),
        "reason": _LABEL,
        "limit": _LABEL,
        "limit_name": _LABEL,
        "sha256": _LABEL,
        "version": _LABEL,
        "value": pl.Float64(),
    }
)

# Effective or published limits: one row per tenant and limit.
LIMITS: Final = pl.Schema({"tenant": pl.String(), "limit": pl.String(), "value": pl.Float64()})

# What the history says of one tenant and limit on one UTC day; a day without data has no row.
# `peak` max demand outside of blasts; `sustained` the highest level that was held long enough to
# be no event, null while the day is too young to say; both null when all of it was a blast.
# `points` 5-minute rollups and `hours` hours with data; `coverage` the mean of the hours' lowest;
# `pressure` samples/s discarded for want of this limit, max of the day, null when not measured;
# `last_at` the end of the newest rollup. The keys may be Categorical or Enum instead.
DAYS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "day": pl.Date(),
        "peak": pl.Float64(),
        "sustained": pl.Float64(),
        "points": pl.Int64(),
        "hours": pl.Int64(),
        "coverage": pl.Float64(),
        "pressure": pl.Float64(),
        "last_at": UTC_TIME,
    }
)

# How high demand gets in one hour of the week. `hour_of_week` 0..167, 0 is Monday 00-01 UTC;
# `level` the decayed 95th percentile of that hour's peaks; `weeks` how many were seen.
SEASONS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "hour_of_week": pl.Int16(),
        "level": pl.Float64(),
        "weeks": pl.Int64(),
    }
)

# The demand on one limit of one tenant, before any buffer, and what it came from.
# `base` what the strategy says, `because` its words, `parts` its numbers as a JSON object.
# `calendar` and `season` the levels that the demand was lifted to, `season_hour` 0..167; `slope`
# growth per day and `lead` what was added for it; `time_factor` of timeOfDayBuffers. Each of these
# is null where it had no part. `recent` the largest counted peak of the last 8 days; `sustained`
# the newest level; `event` the highest peak of those days that counted for less and is above the
# demand, `event_counted` the most that such a day counted for. `upper` and `lower` bound what is
# believable; `confidence` 0..1, `widening` the factor for want of it. `days` days with a peak,
# `hours` hours with data, `points` 5-minute buckets; `coverage` mean; `pressure` max of the last
# 7 days, `pressed_days_ago` days since the last, null when there was none in the window.
ESTIMATES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "demand": pl.Float64(),
        "base": pl.Float64(),
        "because": pl.String(),
        "parts": pl.String(),
        "calendar": pl.Float64(),
        "season": pl.Float64(),
        "season_hour": pl.Int64(),
        "slope": pl.Float64(),
        "lead": pl.Float64(),
        "time_factor": pl.Float64(),
        "recent": pl.Float64(),
        "sustained": pl.Float64(),
        "event": pl.Float64(),
        "event_counted": pl.Float64(),
        "upper": pl.Float64(),
        "lower": pl.Float64(),
        "confidence": pl.Float64(),
        "widening": pl.Float64(),
        "days": pl.Int64(),
        "hours": pl.Int64(),
        "points": pl.Int64(),
        "coverage": pl.Float64(),
        "pressure": pl.Float64(),
        "pressed_days_ago": pl.Int64(),
        "last_at": UTC_TIME,
    }
)

# One word of one flow about one tenant and limit. `layer` is one of policy.layers.CASCADE,
# `kind` is "set" or "cap", `evidence` is JSON.
LAYERS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "layer": pl.String(),
        "kind": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
        "evidence": pl.String(),
        "written_at": UTC_TIME,
        "expires_at": UTC_TIME,
    }
)

# The cascade composed: what each tenant's limit is to be, and which layer had the last word.
# `beneath` is the value of the `defaults` layer (null when unknown).
COMPOSED: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "decided_by": pl.String(),
        "reason": pl.String(),
        "beneath": pl.Float64(),
        "expires_at": UTC_TIME,
    }
)

# What was decided for one tenant and limit, and why. `outcome` is raise | lower | hold | withheld;
# `reason` a code; `detail` one sentence; `steps` JSON: [{name, before, after, because}, ...].
DECISIONS: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "limit": pl.String(),
        "outcome": pl.String(),
        "reason": pl.String(),
        "detail": pl.String(),
        "before": pl.Float64(),
        "after": pl.Float64(),
        "steps": pl.String(),
    }
)

# When each limit was last raised and lowered by us, null for never, how often its direction
# turned in the window that is looked at, and how its lowerings went: `reverts`, those taken back
# since the last one that held; `failed`, those taken back among the last five.
MOVES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "raised_at": UTC_TIME,
        "lowered_at": UTC_TIME,
        "reversals": pl.Int64(),
        "reverts": pl.Int64(),
        "failed": pl.Int64(),
    }
)

# What differs between two sets of limits. `before` null: added; `after` null: removed.
CHANGES: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "before": pl.Float64(),
        "after": pl.Float64(),
        "decided_by": pl.String(),
        "reason": pl.String(),
    }
)


def empty(schema: pl.Schema) -> pl.DataFrame:
    """A frame of the schema without rows."""
    return pl.DataFrame(schema=schema)
