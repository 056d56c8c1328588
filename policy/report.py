"""What a report says: who is at risk, whose usage is drawn, and how its limits went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.emergency.rules import Level
from policy.frames import UTC_TIME
from policy.grade import Grade
from policy.standing_words import why
from policy.standings import SEVERITIES, by_risk

RISKIEST: Final = 24
CHANGED: Final = 12
LIMITS_OF_EACH: Final = 2
HELD: Final = ("watch", "open", "half_open", "growth")
"""The states of a breaker that a timeline shows; in all others the tenant is let alone."""

# How often a limit was decided to be raised or lowered in the window.
COUNTED: Final = pl.Schema(
    {"tenant": pl.String(), "limit": pl.String(), "raises": pl.Int64(), "lowers": pl.Int64()}
)
# A raise or a lowering that was decided.
DECIDED: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "limit": pl.String(),
        "outcome": pl.String(),
        "detail": pl.String(),
        "before": pl.Float64(),
        "after": pl.Float64(),
    }
)
# What a limit was known to be at a moment: when a decision looked at it, or a revision set it, null
# where ours was withdrawn then and the operator's own is not known.
KNOWN: Final = pl.Schema(
    {"at": UTC_TIME, "tenant": pl.String(), "limit": pl.String(), "value": pl.Float64()}
)
# The highest demand on a limit from `at` until the next point.
USAGE: Final = pl.Schema(
    {"at": UTC_TIME, "tenant": pl.String(), "limit": pl.String(), "peak": pl.Float64()}
)
# What all tenants together asked for, samples/s, the mean from `at` until the next point.
ASKED: Final = pl.Schema({"at": UTC_TIME, "asked": pl.Float64(), "tenants": pl.Int64()})
# Every turn of a breaker, as `policy.breakers.TURNS`, with its moment.
TURNED: Final = pl.Schema(
    {
        "at": UTC_TIME,
        "tenant": pl.String(),
        "before": pl.String(),
        "after": pl.String(),
        "kinds": pl.String(),
        "because": pl.String(),
    }
)
# How long a breaker was in a state that is one of HELD.
SPANS: Final = pl.Schema(
    {"tenant": pl.String(), "state": pl.String(), "starts": UTC_TIME, "ends": UTC_TIME}
)
# One row per tenant, the one at most risk first. `severity` and `why`, `limit`, `used` (0..1 and
# above) and `hit_probability` are of its worst limit; null where none was judged. `changes` are
# decided raises and lowerings, `openings` those of the breaker, both of the window.
ROWS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "team": pl.String(),
        "tier": pl.String(),
        "state": pl.String(),
        "severity": pl.String(),
        "why": pl.String(),
        "limit": pl.String(),
        "value": pl.Float64(),
        "used": pl.Float64(),
        "hit_probability": pl.Float64(),
        "changes": pl.Int64(),
        "openings": pl.Int64(),
    }
)

_KEYS: Final = ["tenant", "limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the window cost.

    Attributes:
        teams: REPORT of `policy.cost.report`, by team, what idles as a row of its own.
        tenants: tenant, currency, amount.
        days: at, team, amount: each local day, in the currency of the settings.
        budgets: `storage.budgets.STANDING`.
        currency: that of the settings.
        hours_priced: hours of the window in which anybody's usage is priced.
    """

    teams: pl.DataFrame
    tenants: pl.DataFrame
    days: pl.DataFrame
    budgets: pl.DataFrame
    currency: str
    hours_priced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report says, of the window from `since` until `made_at`.

    Attributes:
        zone: of the days of costs; all else is told in UTC.
        mode: dry-run or prod.
        simulated: whether the tenants are made up.
        grade: of all limits; None where none was judged yet.
        judged_at: when that was; None likewise.
        emergency: the level; None where nothing is watched.
        tenants: ROWS.
        asked: ASKED.
        charted: tenant, limit, rank: what is drawn, in order.
        step_seconds: how long a point of `asked` and `usage` is.
        usage: USAGE of what is charted.
        lines: KNOWN of what is charted, as steps.
        decided: DECIDED on what is charted, by time.
        turns: TURNED, the newest first.
        spans: SPANS.
        incidents: `storage.alert_reading.TOLD` that were open in the window.
        revisions: how many of the window there are by outcome.
        proposals: STANDINGS of limits that a run would set otherwise, at most risk first.
        savings: `storage.savings.STORED`.
        costs: what it cost.
    """

    since: datetime
    made_at: datetime
    zone: ZoneInfo
    mode: str
    simulated: bool
    grade: Grade | None
    judged_at: datetime | None
    emergency: Level | None
    tenants: pl.DataFrame
    raises: int
    lowers: int
    asked: pl.DataFrame
    charted: pl.DataFrame
    step_seconds: int
    usage: pl.DataFrame
    lines: pl.DataFrame
    decided: pl.DataFrame
    turns: pl.DataFrame
    spans: pl.DataFrame
    incidents: pl.DataFrame
    revisions: dict[str, int]
    proposals: pl.DataFrame
    savings: pl.DataFrame
    costs: Costs


def charted(
    standings: pl.DataFrame,
    *,
    counted: pl.DataFrame,
    riskiest: int = RISKIEST,
    changed: int = CHANGED,
) -> pl.DataFrame:
    """Which limits are drawn, of which tenants: those at most risk, then those most changed.

    Of each tenant the limit at most risk and the one most changed are drawn, no more than two. A
    limit whose demand is not known is not.

    Args:
        standings: STANDINGS.
        counted: COUNTED.
        riskiest: how many tenants for their risk.
        changed: how many more for their changes.

    Returns:
        tenant, limit, rank: in order.
    """
    changes = counted.select(*_KEYS, changes=pl.col("raises") + pl.col("lowers"))
    ranked = (
        _by_severity(standings)
        .filter(pl.col("utilisation").is_not_null())
        .with_row_index("rank")
        .join(changes, on=_KEYS, how="left")
        .with_columns(pl.col("changes").fill_null(0), pl.col("rank").cast(pl.Int64))
    )
    each = ranked.group_by("tenant").agg(pl.col("rank").min(), pl.col("changes").sum())
    first = each.sort("rank").head(riskiest)
    more = (
        each.join(first, on="tenant", how="anti")
        .filter(pl.col("changes") > 0)
        .sort("changes", "rank", descending=[True, False])
        .head(changed)
    )
    chosen = pl.concat([first, more]).select("tenant").with_row_index("place")
    of_most_risk = pl.col("rank") == pl.col("rank").min().over("tenant")
    return (
        ranked.join(chosen, on="tenant")
        .sort("place", of_most_risk, "changes", "rank", descending=[False, True, True, False])
        .group_by("tenant", maintain_order=True)
        .head(LIMITS_OF_EACH)
        .select(*_KEYS)
        .with_row_index("rank")
        .select(*_KEYS, pl.col("rank").cast(pl.Int64))
    )


def limit_lines(
    known: pl.DataFrame, *, own: pl.DataFrame, until: datetime, endless: frozenset[str]
) -> pl.DataFrame:
    """How each limit went, as far as it is known: KNOWN where it changed, and at the end.

    Args:
        known: KNOWN, in any order.
        own: LIMITS that hold where ours was withdrawn.
        until: where the lines end, aware UTC.
        endless: limits of which 0 is no limit: there is no line where they are 0.
    """
    value = pl.col("value").fill_null(pl.col("own"))
    steps = (
        known.join(own.select(*_KEYS, own="value"), on=_KEYS, how="left")
        .with_columns(
            value=pl.when(~(pl.col("limit").is_in(list(endless)) & (value == 0))).then(value)
        )
        .sort(*_KEYS, "at", maintain_order=True)
        .unique([*_KEYS, "at"], keep="last", maintain_order=True)
        .select(KNOWN.names())
    )
    before = pl.col("value").shift(1).over(_KEYS)
    first = pl.int_range(pl.len()).over(_KEYS) == 0
    turns = steps.filter(first | pl.col("value").ne_missing(before))
    ends = steps.group_by(_KEYS).last().with_columns(at=pl.lit(until).cast(UTC_TIME))
    return (
        pl.concat([turns, ends.select(KNOWN.names())])
        .cast(KNOWN)
        .unique([*_KEYS, "at"], keep="last", maintain_order=True)
        .sort(*_KEYS, "at")
    )


def spans(turns: pl.DataFrame, *, since: datetime, until: datetime) -> pl.DataFrame:
    """SPANS of the breakers, by TURNED of the window; what lasts ends at `until`.

    A breaker that was held when the window began is so from its begin.
    """
    lit = [pl.lit(moment).cast(UTC_TIME) for moment in (since, until)]
    by_time = turns.sort("tenant", "at")
    earlier = by_time.group_by("tenant", maintain_order=True).first()
    whole = pl.concat(
        [
            earlier.select("tenant", state="before", starts=lit[0], ends="at"),
            by_time.select(
                "tenant",
                state="after",
                starts="at",
                ends=pl.col("at").shift(-1).over("tenant").fill_null(lit[1]),
            ),
        ]
    ).cast(SPANS)
    return whole.filter(pl.col("state").is_in(HELD) & (pl.col("ends") > pl.col("starts"))).sort(
        "tenant", "starts"
    )


def merged(found: pl.DataFrame, *, seconds: float) -> pl.DataFrame:
    """SPANS in which those of a tenant and state that begin within one stretch are one.

    A breaker that opens every few minutes would else be thousands, which nobody can tell apart.

    Args:
        found: SPANS.
        seconds: how long a stretch is.

    Returns:
        SPANS, and `times`, how many each was, sorted by tenant and begin.
    """
    stretch = (pl.col("starts").dt.epoch("ms") // (seconds * 1000)).alias("stretch")
    return (
        found.group_by("tenant", "state", stretch)
        .agg(pl.col("starts").min(), pl.col("ends").max(), times=pl.len().cast(pl.Int64))
        .select(*SPANS.names(), "times")
        .sort("tenant", "starts", "state")
    )


def rows(
    names: pl.DataFrame,
    *,
    standings: pl.DataFrame,
    counted: pl.DataFrame,
    turns: pl.DataFrame,
) -> pl.DataFrame:
    """ROWS: every tenant by its worst limit.

    Args:
        names: tenant, team, tier, state.
        standings: STANDINGS.
        counted: COUNTED.
        turns: TURNED.
    """
    worst = (
        _by_severity(standings)
        .with_columns(why=why())
        .with_row_index("rank")
        .unique("tenant", keep="first", maintain_order=True)
        .select(
            "tenant",
            "severity",
            "why",
            "limit",
            "value",
            "hit_probability",
            "rank",
            used="utilisation",
        )
    )
    changes = counted.group_by("tenant").agg(changes=(pl.col("raises") + pl.col("lowers")).sum())
    opened = turns.filter(after="open").group_by("tenant").agg(openings=pl.len())
    return (
        names.join(worst, on="tenant", how="left")
        .join(changes, on="tenant", how="left")
        .join(opened, on="tenant", how="left")
        .sort("rank", "tenant", nulls_last=True)
        .with_columns(pl.col("changes", "openings").fill_null(0))
        .select(ROWS.names())
        .cast(ROWS)
    )


def _by_severity(standings: pl.DataFrame) -> pl.DataFrame:
    """STANDINGS, the worst severity first, and of each those at most risk."""
    ranks = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    worse = pl.col("severity").replace_strict(ranks, return_dtype=pl.Int64)
    return by_risk(standings).sort(worse, maintain_order=True)
