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

# What the history says of one tenant and limit over the analysis window.
# `peak` max demand; `points` number of 5-minute rollups; `hours` span from the first to the last;
# `coverage` the mean coverage in the window; `pressure` samples/s discarded for want of this
# limit, max in the window, null when not measured; `recent` demand of the newest rollup.
HISTORY: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "peak": pl.Float64(),
        "recent": pl.Float64(),
        "points": pl.Int64(),
        "hours": pl.Float64(),
        "last_at": UTC_TIME,
        "coverage": pl.Float64(),
        "pressure": pl.Float64(),
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
