"""What is refused at this moment, before the history of the day shows it."""

from __future__ import annotations

import polars as pl

from policy.frames import ESTIMATES
from policy.signals import PRESSURE_ON


def pressed(estimates: pl.DataFrame, *, refused: pl.DataFrame) -> pl.DataFrame:
    """The estimates with what is refused now.

    Args:
        estimates: ESTIMATES.
        refused: SAMPLES of the signals of discards, of the last minutes, one row per tenant and
            signal.

    Returns:
        ESTIMATES; where a limit presses now, `pressed_days_ago` is 0.
    """
    if refused.is_empty():
        return estimates
    presses = pl.DataFrame(
        list(PRESSURE_ON.items()),
        schema={"limit": pl.String(), "signal": pl.String()},
        orient="row",
    )
    now = refused.join(presses, on="signal").select("tenant", "limit", refused="value")
    biting = pl.col("refused").is_not_null()
    return (
        estimates.join(now, on=["tenant", "limit"], how="left", maintain_order="left")
        .with_columns(
            pressure=pl.max_horizontal("pressure", "refused"),
            pressed_days_ago=pl.when(biting).then(0).otherwise("pressed_days_ago"),
        )
        .select(ESTIMATES.names())
        .cast(ESTIMATES)
    )
