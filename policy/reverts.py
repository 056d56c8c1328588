"""Take a lowering back when it refuses what the limit before it would have let in.

The evidence of a lowering is the past; this is the present proving it wrong. Only what the
lowering caused is taken back: where more is asked for than the former limit allowed, or another
limit that bites in the same way explains the refusals, a raise is the answer, not a revert. In a
blast nothing is raised, so nothing is taken back either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.figures import grouped
from policy.frames import DECISIONS, UTC_TIME
from policy.signals import PRESSURE_ON

# Lowerings that may still turn out to be wrong: the newest move of each limit, if it is one.
LOWERED: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "at": UTC_TIME,
        "before": pl.Float64(),
        "after": pl.Float64(),
    }
)
REVERTED: Final = "reverted"

_KEYS: Final = ["tenant", "limit"]
_MINUTE: Final = timedelta(minutes=1)


def reverts(
    lowered: pl.DataFrame,
    *,
    samples: pl.DataFrame,
    in_force: pl.DataFrame,
    signals: Mapping[str, str],
    endless: Collection[str],
    in_blast: Collection[str],
    now: datetime,
) -> pl.DataFrame:
    """The lowerings that this look proves wrong, as decisions that put the former limit back.

    Args:
        lowered: LOWERED, those that are watched.
        samples: SAMPLES of one look.
        in_force: LIMITS of these tenants; the lowered ones as they are now.
        signals: the signal that the demand on each limit is read from.
        endless: limits of which 0 means unlimited.
        in_blast: tenants that may not be raised.
        now: aware UTC.

    Returns:
        DECISIONS with the reason `reverted`, sorted.
    """
    watched = lowered.filter(~pl.col("tenant").is_in(list(in_blast))).with_columns(
        pressure_signal=_pressure()
    )
    refusing = samples.filter(pl.col("value") > 0).select(
        "tenant", pressure_signal="signal", refused="value", refused_at="at"
    )
    biting = watched.join(refusing, on=["tenant", "pressure_signal"]).filter(
        pl.col("refused_at") > pl.col("at")
    )
    if biting.is_empty():
        return pl.DataFrame(schema=DECISIONS)
    explained = _asked_beyond(
        lowered, samples=samples, in_force=in_force, signals=signals, endless=endless
    )
    caused = biting.join(explained, on=["tenant", "pressure_signal"], how="anti")
    return _decided(caused, now=now)


def _pressure() -> pl.Expr:
    return pl.col("limit").replace_strict(PRESSURE_ON, default=None, return_dtype=pl.String)


def _asked_beyond(
    lowered: pl.DataFrame,
    *,
    samples: pl.DataFrame,
    in_force: pl.DataFrame,
    signals: Mapping[str, str],
    endless: Collection[str],
) -> pl.DataFrame:
    """Where the refusals would be there without the lowerings: tenant, pressure_signal."""
    names = pl.DataFrame(
        {"limit": list(signals), "signal": list(signals.values())},
        schema={"limit": pl.String(), "signal": pl.String()},
    )
    asked = samples.join(names, on="signal").select(*_KEYS, asked="value")
    unlimited = (pl.col("value") == 0) & pl.col("limit").is_in(list(endless))
    return (
        in_force.select(*_KEYS, "value")
        .join(lowered.select(*_KEYS, former="before"), on=_KEYS, how="left")
        .with_columns(value=pl.coalesce("former", "value"))
        .join(asked, on=_KEYS)
        .filter((pl.col("asked") > pl.col("value")) & ~unlimited)
        .select("tenant", pressure_signal=_pressure())
        .drop_nulls()
        .unique()
    )


def _decided(caused: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    minutes = ((pl.lit(now) - pl.col("at")) / _MINUTE).floor()
    detail = pl.concat_str(
        pl.lit("lowered to "),
        grouped(pl.col("after")),
        pl.lit(" "),
        grouped(minutes),
        pl.lit(" min ago, and since then "),
        grouped(pl.col("refused")),
        pl.lit("/s were refused that the limit before it would have let in; put back"),
    )
    step = pl.struct(
        name=pl.lit("revert"), before="after", after="before", because=detail
    ).struct.json_encode()
    return (
        caused.select(
            "tenant",
            "limit",
            at=pl.lit(now).cast(UTC_TIME),
            outcome=pl.lit("raise"),
            reason=pl.lit(REVERTED),
            detail=detail,
            before="after",
            after="before",
            steps=pl.concat_str(pl.lit("["), step, pl.lit("]")),
        )
        .select(DECISIONS.names())
        .cast(DECISIONS)
        .sort(_KEYS)
    )
