"""Why a limit stands as it does, in few words; see `policy.standings`."""

from __future__ import annotations

import polars as pl

from policy.figures import TIMES, grouped
from policy.standings import FAR_ABOVE, FULL, likely_hit, refused


def why() -> pl.Expr:
    """What speaks against the limit, the worst first; empty where nothing does.

    It reads the columns of STANDINGS.
    """
    value, wanted = pl.col("value"), pl.col("recommended")
    times = value / wanted
    against = [
        pl.when(refused()).then(
            pl.when(pl.col("pressed_days_ago") == 0)
            .then(pl.lit("refused today"))
            .otherwise(pl.lit("refused yesterday"))
        ),
        pl.when(likely_hit()).then(
            pl.when(pl.col("hit_days") == 1)
            .then(pl.lit("too low for 1 day of the past"))
            .otherwise(
                pl.concat_str(
                    pl.lit("too low for "),
                    grouped(pl.col("hit_days").cast(pl.Float64)),
                    pl.lit(" days of the past"),
                )
            )
        ),
        pl.when(pl.col("utilisation") > FULL).then(pl.lit("nearly full")),
        pl.when(times > FAR_ABOVE).then(
            pl.concat_str(grouped(times.round(1)), pl.lit(f" {TIMES} what is recommended"))
        ),
        pl.when(pl.col("provision") == "under").then(pl.lit("more is recommended")),
        pl.when((pl.col("provision") == "over") & ~(times > FAR_ABOVE)).then(
            pl.lit("less would do")
        ),
        pl.when(pl.col("utilisation").is_null()).then(pl.lit("no demand measured lately")),
    ]
    spoken = pl.concat_str(against, separator="; ", ignore_nulls=True)
    return (
        pl.when(value.is_null())
        .then(pl.lit("the limit in force is not known"))
        .when(value <= 0)
        .then(pl.lit("0, which somebody set: unlimited, or blocked"))
        .otherwise(spoken)
    )
