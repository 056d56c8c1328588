"""The circuit breaker of each tenant: a state, what happened, a clock; and the state after that.

    closed → watch → open → half_open → closed
                       ↑________|

`watch`: out of the usual in one look; nothing is raised. `open`: its limits are cut to a tenth, or
to what it usually needs. `half_open`: to half, and it is seen whether it stays calm. It closes by
itself when calm, and is never stuck open: demand that holds for as long as an event may is growth,
and accepted. A tenant without a row is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.frames import UTC_TIME

# One row per tenant that is not plainly closed. `state` is watch, open, half_open, growth or
# cooling: `growth` was accepted and is not opened again while it lasts; `cooling` is closed, and
# remembers how often it opened. `opened_at` is when the first of these openings began.
BREAKERS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "state": pl.String(),
        "since": UTC_TIME,
        "kinds": pl.String(),
        "because": pl.String(),
        "opened_at": UTC_TIME,
        "openings": pl.Int64(),
        "calm_since": UTC_TIME,
    }
)
# A breaker that went from one state to another at this look. `before` and `after` are states,
# "closed" among them.
TURNS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "before": pl.String(),
        "after": pl.String(),
        "kinds": pl.String(),
        "because": pl.String(),
    }
)
# One row per blasting tenant. `value` is its demand and `threshold` what it had to exceed, both
# in samples/s; `because` is one sentence.
BLASTS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "because": pl.String(),
    }
)
CLOSED: Final = "closed"
TRIPPED: Final = ("open", "half_open")
IN_BLAST: Final = ("watch", *TRIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long each state lasts.

    Attributes:
        open_for: the first opening; each further one twice as long.
        most_open_for: no opening is longer, calm or not.
        calm_for: how long it must be calm before it is tried.
        half_open_for: how long a trial is.
        growth_after: what has held for so long since it opened is what the tenant needs.
        forget_after: a closed breaker remembers its openings for so long.
        failure_share: of what was asked for in a trial, refused: then it failed.
    """

    open_for: timedelta = timedelta(minutes=1)
    most_open_for: timedelta = timedelta(minutes=15)
    calm_for: timedelta = timedelta(minutes=1)
    half_open_for: timedelta = timedelta(minutes=2)
    growth_after: timedelta = timedelta(minutes=35)
    forget_after: timedelta = timedelta(hours=1)
    failure_share: float = 0.5


def stepped(
    previous: pl.DataFrame,
    *,
    detected: pl.DataFrame,
    failing: pl.DataFrame,
    now: datetime,
    timing: Timing,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The breakers after one look, and those that turned.

    Args:
        previous: BREAKERS.
        detected: DETECTED in this look.
        failing: tenant, share: of what was asked for, refused; of those with enough requests.
        now: aware UTC.
        timing: how long each state lasts.

    Returns:
        BREAKERS and TURNS, sorted by tenant.
    """
    if previous.is_empty() and detected.is_empty():
        return BREAKERS.to_frame(), TURNS.to_frame()
    rows = _together(previous, detected=detected, failing=failing)
    moment = pl.lit(now, dtype=UTC_TIME)
    state, fired = pl.col("state"), pl.col("fired")
    lasted = moment - pl.col("since")
    calm_since = pl.when(~fired).then(pl.coalesce("calm_since", moment))
    doubled = pl.lit(timing.open_for) * 2 ** (pl.col("openings").fill_null(1) - 1).clip(0, 20)
    wait = pl.min_horizontal(doubled, pl.lit(timing.most_open_for))
    calm = (moment - calm_since) >= timing.calm_for
    is_growth = fired & (moment - pl.col("opened_at") >= timing.growth_after)
    tried = lasted >= timing.half_open_for
    failed = fired & (pl.col("failed_share").fill_null(1.0) >= timing.failure_share)
    closed = state.is_in([CLOSED, "cooling"])
    after = (
        pl.when(closed & fired & pl.col("sure"))
        .then(pl.lit("open"))
        .when(closed & fired)
        .then(pl.lit("watch"))
        .when((state == "watch") & fired)
        .then(pl.lit("open"))
        .when(state == "watch")
        .then(pl.lit(CLOSED))
        .when(state.is_in(TRIPPED) & is_growth)
        .then(pl.lit("growth"))
        .when((state == "open") & (lasted >= wait) & (calm | (lasted >= timing.most_open_for)))
        .then(pl.lit("half_open"))
        .when((state == "half_open") & (failed | (fired & tried)))
        .then(pl.lit("open"))
        .when((state == "half_open") & ~fired & tried)
        .then(pl.lit("cooling"))
        .when((state == "growth") & calm)
        .then(pl.lit("cooling"))
        .when((state == "cooling") & (lasted >= timing.forget_after))
        .then(pl.lit(CLOSED))
        .otherwise(state)
    )
    rows = rows.with_columns(after=after, calm_since=calm_since)
    turned = pl.col("after") != state
    opens = turned & (pl.col("after") == "open")
    first = opens & ~(state == "half_open")
    return _stored(rows, moment=moment, turned=turned, opens=opens, first=first), _turns(
        rows, turned=turned
    )


def _together(
    previous: pl.DataFrame, *, detected: pl.DataFrame, failing: pl.DataFrame
) -> pl.DataFrame:
    """One row per tenant with a breaker or a detection."""
    seen = detected.group_by("tenant").agg(
        fired=pl.lit(value=True),
        sure=pl.col("sure").any(),
        kinds_now=pl.col("kind").sort().str.join(","),
        because_now=pl.col("because").sort_by("kind").str.join("; "),
    )
    return (
        previous.join(seen, on="tenant", how="full", coalesce=True)
        .join(failing.select("tenant", failed_share="share"), on="tenant", how="left")
        .with_columns(
            pl.col("state").fill_null(CLOSED),
            pl.col("fired", "sure").fill_null(value=False),
        )
    )


def _stored(
    rows: pl.DataFrame, *, moment: pl.Expr, turned: pl.Expr, opens: pl.Expr, first: pl.Expr
) -> pl.DataFrame:
    known = pl.col("openings").fill_null(0)
    return (
        rows.with_columns(
            since=pl.when(turned).then(moment).otherwise("since"),
            kinds=_kinds(),
            because=pl.coalesce("because_now", "because"),
            opened_at=pl.when(first).then(moment).otherwise("opened_at"),
            openings=pl.when(opens).then(known + 1).otherwise(known),
            calm_since=pl.when(opens).then(None).otherwise("calm_since"),
            state="after",
        )
        .filter(pl.col("state") != CLOSED)
        .select(BREAKERS.names())
        .cast(BREAKERS)
        .sort("tenant")
    )


def _kinds() -> pl.Expr:
    """Of what it blasts. While it is held a kind stays: refused series are not asked for anew."""
    both = pl.col("kinds").str.split(",").list.set_union(pl.col("kinds_now").str.split(","))
    held = pl.col("state").is_in(TRIPPED)
    return pl.coalesce(pl.when(held).then(both.list.sort().list.join(",")), "kinds_now", "kinds")


def _turns(rows: pl.DataFrame, *, turned: pl.Expr) -> pl.DataFrame:
    return (
        rows.filter(turned)
        .select(
            "tenant",
            before="state",
            after="after",
            kinds=_kinds(),
            because=pl.coalesce("because_now", "because"),
        )
        .cast(TURNS)
        .sort("tenant")
    )
