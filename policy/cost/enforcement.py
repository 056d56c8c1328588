"""What a budget that is used up does to limits: caps of the layer `budget`, by stages.

A cap goes a part of the way from the limit as it was down to what the tenant usually needs: half of
it once the budget is used up, more the further it is exceeded. It is never below what is usual, nor
below the hard bounds, and a limit whose usual need is not known is not capped. The base is kept in
the evidence of the cap, so a raise beneath does not lift it, and every cap ends with its period.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from policy.cost.alerts import PERIOD_WORDS, who
from policy.cost.budgets import budget_of
from policy.cost.standing import STATUS
from policy.cost.teams import teams_of
from policy.figures import grouped
from policy.frames import LAYERS, UTC_TIME
from policy.layers import Bounds, bounded, endless_as_infinity
from policy.settings.cost import Budget, CostControl
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES

LAYER: Final = "budget"
BILLED: Final = (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)
"""The limits on what is billed."""
STAGES: Final = ((1.0, 50.0), (1.1, 75.0), (1.25, 100.0))
"""From which use of a budget on how many percent of the way down."""
ALL_THE_WAY: Final = STAGES[-1][1]
_REQUESTS: Final = 4.0  # a burst lets the mean request in, and one that is four times as large
_KEYS: Final = ("tenant", "limit")

# Whose limits a budget caps: STATUS of the one that bites hardest, and how far it goes.
BITTEN: Final = pl.Schema({"tenant": pl.String(), **STATUS, "stage": pl.Float64()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What the caps are made from.

    Attributes:
        base: LIMITS of what may be capped, as they were when each cap began.
        needs: tenant, limit, need: what each usually asks for, in the limit's unit.
        requests: tenant, request: mean samples of a request.
        spoken: tenant, limit of holds and pins, which win over a cap.
        bounds: the hard bounds.
    """

    base: pl.DataFrame
    needs: pl.DataFrame
    requests: pl.DataFrame
    spoken: pl.DataFrame
    bounds: Bounds


def bitten(
    status: pl.DataFrame, *, tenants: pl.Series, rules: CostControl, critical: Collection[str]
) -> pl.DataFrame:
    """BITTEN: the tenants whose limits an enforced budget that is used up caps.

    Args:
        status: STATUS of each budget.
        tenants: who there is.
        rules: an `enforceBudget` that is written for a tenant by `tenantBudgets` says whether any
            budget caps it; else one that is written for its team says whether everybody's does.
        critical: tenants that nothing caps.
    """
    over = status.filter(pl.col("enforced"), pl.col("used") >= STAGES[0][0])
    everybody = _words(tenants, rules=rules).filter(~pl.col("tenant").is_in(list(critical)))
    may = pl.col("own_says").fill_null(value=True)
    may_globally = pl.coalesce("own_says", "team_says").fill_null(value=True)
    parts = [
        over.filter(scope="tenant").join(
            everybody, left_on="name", right_on="tenant", coalesce=False
        ),
        over.filter(scope="team").join(
            everybody.filter(may), left_on="name", right_on="team", coalesce=False
        ),
        over.filter(scope="global").join(everybody.filter(may_globally), how="cross"),
    ]
    stage = pl.lit(0.0)
    for used, percent in STAGES:
        stage = pl.when(pl.col("used") >= used).then(percent).otherwise(stage)
    return (
        pl.concat([part.select("tenant", *STATUS.names()) for part in parts])
        .with_columns(stage=stage)
        .sort("tenant", "stage", "ends", "scope", descending=[False, True, True, True])
        .unique("tenant", keep="first", maintain_order=True)
        .select(BITTEN.names())
        .cast(BITTEN)
    )


def budget_layer(found: pl.DataFrame, *, ground: Ground, written_at: datetime) -> pl.DataFrame:
    """The caps on the tenants whose budgets bite.

    Args:
        found: BITTEN.
        ground: what the caps are made from.
        written_at: stamp of the entries, aware UTC.

    Returns:
        LAYERS of the layer `budget`, sorted; each expires with the period of its budget.
    """
    rows = (
        ground.base.filter(pl.col("limit").is_in(BILLED))
        .join(ground.spoken.select(_KEYS), on=_KEYS, how="anti")
        .join(found, on="tenant")
        .join(ground.needs.select(*_KEYS, "need"), on=_KEYS)
        .drop_nulls(["value", "need"])
        .with_columns(base="value")
        .with_columns(
            high=endless_as_infinity(pl.col("base"), endless=ground.bounds.endless),
            floor=_whole(pl.col("need"), bounds=ground.bounds),
        )
        .with_columns(value=_whole(_part_of_the_way(), bounds=ground.bounds))
        .filter(pl.col("value") < pl.col("high"))
    )
    others = rows.filter(pl.col("limit") != INGESTION_BURST_SIZE)
    # A burst below its rate is refused by Mimir's file as a whole: it follows a capped rate.
    rates = others.filter(limit=INGESTION_RATE).select("tenant", rate="value")
    bursts = (
        rows.filter(limit=INGESTION_BURST_SIZE)
        .join(rates, on="tenant")
        .join(ground.requests, on="tenant", how="left")
        .with_columns(
            value=pl.max_horizontal("value", "rate", (pl.col("request") * _REQUESTS).ceil())
        )
        .filter(pl.col("value") < pl.col("high"))
    )
    return (
        pl.concat([others, bursts.select(others.columns)])
        .select(
            *_KEYS,
            layer=pl.lit(LAYER),
            kind=pl.lit("cap"),
            value="value",
            reason=_reason(),
            evidence=pl.struct(
                "base", "need", "stage", "scope", "name", "used", period="unit"
            ).struct.json_encode(),
            written_at=pl.lit(written_at).cast(UTC_TIME),
            expires_at="ends",
        )
        .cast(LAYERS)
        .sort(_KEYS)
    )


def _words(tenants: pl.Series, *, rules: CostControl) -> pl.DataFrame:
    """tenant, team, own_says, team_says: what is written about enforcement; null: nothing."""
    patterns = {name: team.tenants for name, team in rules.team_budgets.items()}
    own = _written(rules.tenant_budgets, key="key", says="own_says")
    of_teams = _written(rules.team_budgets, key="team", says="team_says")
    return (
        budget_of(tenants, rules=rules)
        .join(own, on="key", how="left")
        .join(teams_of(tenants, patterns=patterns), on="tenant", how="left")
        .join(of_teams, on="team", how="left")
        .select("tenant", "team", "own_says", "team_says")
    )


def _written(budgets: Mapping[str, Budget], *, key: str, says: str) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (name, each.enforce_budget)
            for name, each in budgets.items()
            if "enforce_budget" in each.model_fields_set
        ],
        schema={key: pl.String(), says: pl.Boolean()},
        orient="row",
    )


def _part_of_the_way() -> pl.Expr:
    """Half the way to infinity is infinity: what is unlimited is capped at the last stage only."""
    high, floor = pl.col("high"), pl.col("floor")
    part = high - (high - floor) * pl.col("stage") / 100
    return (
        pl.when(pl.col("stage") >= ALL_THE_WAY)
        .then(floor)
        .when(high.is_infinite())
        .then(high)
        .otherwise(part)
    )


def _whole(value: pl.Expr, *, bounds: Bounds) -> pl.Expr:
    """Up to a whole number of at least one, which every limit takes, within the bounds."""
    return bounded(value.ceil().clip(1.0), bounds=bounds)


def _reason() -> pl.Expr:
    return pl.format(
        "{} used {} % of the {} budget: {} % of the way from {} down to the usual {}",
        who(),
        grouped((pl.col("used") * 100).round(1)),
        pl.col("unit").replace_strict(PERIOD_WORDS, return_dtype=pl.String),
        grouped(pl.col("stage")),
        pl.when(pl.col("high").is_infinite())
        .then(pl.lit("unlimited"))
        .otherwise(grouped(pl.col("base"))),
        grouped(pl.col("floor")),
    )
