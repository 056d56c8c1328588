"""How fast a budget is spent, and whose last hour cost far more than is usual.

The burn rate of a window is what was spent in it by the hour, over what the budget allows by the
hour: at 1 the budget lasts exactly as long as its period. Costs are known by the hour, so the short
window beside that of six hours, which tells whether it still burns, is one of an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import polars as pl

from policy.cost.alerts import CONDITIONS, PERIOD_WORDS, who
from policy.cost.periods import Period
from policy.detection import LEAST_SPREAD, MAD_TO_SIGMA, UNUSUAL_Z
from policy.figures import TIMES, grouped
from policy.usual import LEAST_POINTS

HOUR: Final = timedelta(hours=1)
WINDOWS: Final[Mapping[str, int]] = {"h72": 72, "h6": 6, "h1": 1}
"""Hours of each window, up to the newest hour; the longest first."""
LEAST_PRICED: Final = 0.5  # of the hours of a window
PAGE_RATE: Final = 6.0
TICKET_RATE: Final = 1.0
LASTS_ABOVE: Final = 0.9  # of the rate

WEEKS: Final = 4
CALM_Z: Final = 3.0
LEAST_SHARE: Final = 0.02  # of all that the hour cost, for the excess to matter

_KEYS: Final = ("scope", "name")


def burn_windows(now: datetime) -> list[Period]:
    """The windows up to this hour, cut so that they do not overlap; the earliest first."""
    end = now.replace(minute=0, second=0, microsecond=0)
    edges = [end - hours * HOUR for hours in WINDOWS.values()] + [end]
    return [Period(start=start, end=until) for start, until in pairwise(edges)]


def burns(status: pl.DataFrame, *, spent: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """CONDITIONS of how fast each budget is spent.

    Args:
        status: STATUS.
        spent: SPENDING of the scopes in the `burn_windows`.
        windows: DAYS of these.
    """
    names = list(WINDOWS)
    within = {name: pl.col("number") >= number for number, name in enumerate(names)}
    sums = spent.group_by(_KEYS).agg(
        pl.col("amount").filter(which).sum().cast(pl.Float64).alias(f"spent_{name}")
        for name, which in within.items()
    )
    priced = {name: float(windows.filter(which)["hours"].sum()) for name, which in within.items()}
    allowed = pl.col("budget").cast(pl.Float64) / (
        (pl.col("ends") - pl.col("starts")) / pl.lit(HOUR)
    )
    rows = (
        status.join(sums, on=_KEYS, how="left", maintain_order="left")
        .with_columns(pl.col(f"spent_{name}").fill_null(0.0) for name in names)
        .with_columns(
            *(pl.lit(priced[name]).alias(f"hours_{name}") for name in names),
            *(
                # Where too few of its hours are priced nobody knows how fast it went.
                pl.lit(None, dtype=pl.Float64).alias(f"rate_{name}")
                if priced[name] < WINDOWS[name] * LEAST_PRICED
                else (pl.col(f"spent_{name}") / priced[name] / allowed).alias(f"rate_{name}")
                for name in names
            ),
        )
    )
    page = _condition(rows, long="h6", short="h1", rate=PAGE_RATE, severity="critical")
    # Three days say nothing of a budget for one.
    ticket = _condition(
        rows.filter(pl.col("unit") != "day"),
        long="h72",
        short="h6",
        rate=TICKET_RATE,
        severity="warning",
    )
    return pl.concat([page, ticket])


def usual_hours(now: datetime) -> list[Period]:
    """The same hour of the last weeks, an hour to either side, and last the newest hour."""
    newest = now.replace(minute=0, second=0, microsecond=0) - HOUR
    starts = [
        newest - timedelta(weeks=week) + around * HOUR
        for week in range(WEEKS, 0, -1)
        for around in (-1, 0, 1)
    ]
    return [Period(start=start, end=start + HOUR) for start in [*starts, newest]]


def unusual(charged: pl.DataFrame, *, hours: pl.DataFrame, currency: str) -> pl.DataFrame:
    """CONDITIONS of tenants by how much dearer their newest hour is than is usual then.

    Args:
        charged: CHARGED in the `usual_hours`.
        hours: DAYS of them.
        currency: of the amounts.
    """
    newest = hours.height - 1
    is_priced = hours.filter(pl.col("number") == newest)["hours"].sum() > 0
    known = charged.filter(pl.col("amount") > 0).with_columns(
        cost=pl.col("amount").cast(pl.Float64)
    )
    log = pl.col("cost").log()
    usual = (
        known.filter(pl.col("number") < newest)
        .group_by("tenant")
        .agg(mid=log.median(), spread=(log - log.median()).abs().median(), points=pl.len())
        .filter(pl.col("points") >= LEAST_POINTS)
    )
    now = known.filter(pl.col("number") == newest).with_columns(of_all=pl.col("cost").sum())
    spread = pl.max_horizontal(pl.col("spread") * MAD_TO_SIGMA, LEAST_SPREAD)
    # Who cost nothing in a priced hour is not unusually dear.
    rows = usual.join(now.select("tenant", "cost", "of_all"), on="tenant", how="left").with_columns(
        reached=pl.when(pl.col("cost").is_not_null())
        .then((pl.col("cost").log() - pl.col("mid")) / spread)
        .when(is_priced)
        .then(0.0),
        usual=pl.col("mid").exp(),
    )
    matters = pl.col("cost") - pl.col("usual") >= pl.col("of_all") * LEAST_SHARE
    return (
        rows.with_columns(
            kind=pl.lit("anomaly"),
            scope=pl.lit("tenant"),
            name="tenant",
            unit=pl.lit("hour"),
            # One at a time, however long it goes on.
            starts=pl.lit(None, dtype=CONDITIONS["starts"]),
            threshold=pl.lit(UNUSUAL_Z),
            severity=pl.lit("warning"),
            holds=(pl.col("reached") > UNUSUAL_Z) & matters,
            lasts=pl.col("reached") >= CALM_Z,
            because=pl.format(
                "{} cost {} {} in the last hour, {} {} its usual {} at this hour of the week",
                "tenant",
                grouped(pl.col("cost")),
                pl.lit(currency),
                grouped(pl.col("cost") / pl.col("usual")),
                pl.lit(TIMES),
                grouped(pl.col("usual")),
            ),
            evidence=pl.struct("cost", "usual", "points", z="reached").struct.json_encode(),
        )
        .select(CONDITIONS.names())
        .cast(CONDITIONS)
    )


def _condition(
    rows: pl.DataFrame, *, long: str, short: str, rate: float, severity: str
) -> pl.DataFrame:
    reached = pl.min_horizontal(f"rate_{long}", f"rate_{short}")
    # The least of both is not known where one is not.
    both = pl.when(pl.col(f"rate_{long}").is_not_null() & pl.col(f"rate_{short}").is_not_null())
    return (
        rows.with_columns(reached=both.then(reached))
        .with_columns(
            kind=pl.lit("burn"),
            threshold=pl.lit(rate),
            severity=pl.lit(severity),
            holds=pl.col("reached") >= rate,
            lasts=pl.col("reached") >= rate * LASTS_ABOVE,
            because=pl.format(
                "{} spends the {} budget {} {} as fast as it lasts: {} {} in the last {} hours",
                who(),
                pl.col("unit").replace_strict(PERIOD_WORDS, return_dtype=pl.String),
                grouped(pl.col(f"rate_{long}")),
                pl.lit(TIMES),
                grouped(pl.col(f"spent_{long}")),
                "currency",
                pl.lit(str(WINDOWS[long])),
            ),
            evidence=pl.struct(
                *(f"{what}_{name}" for name in (long, short) for what in ("rate", "hours")),
                pl.col("budget").cast(pl.String),
            ).struct.json_encode(),
        )
        .select(CONDITIONS.names())
        .cast(CONDITIONS)
    )
