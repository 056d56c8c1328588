"""Which of the changes that are wanted are made in this run: capacity first, then the budget.

Both look at all tenants together, after each limit was judged by itself. A tenant's changes stand
or fall together in the budget, because limits are linked: a rate without its burst refuses what
it allows. What is held back here is decided anew in the next run.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import polars as pl

from policy.capacity import Capacity
from policy.figures import grouped
from policy.rules import Rules
from policy.signals import INGESTION_RATE, SERIES

CAPACITY_SHORT: Final = "capacity_short"
RUN_BUDGET: Final = "run_budget"
_CHANGED: Final = ("raise", "lower")


def admitted(rows: pl.DataFrame, *, capacity: Capacity) -> pl.DataFrame:
    """Withhold the raises for which the cluster has no room.

    A raise of the series limit must pass the test of Mimir's runbook: if the tenant filled all
    that is unused of its limit, the busiest ingester would stay below its line. Where the limits
    of all tenants are above what the cluster may hold anyway, only tenants that are refused
    something are raised.

    Args:
        rows: decided, with tenant, limit, outcome, before, after, recent, pressure.
        capacity: of the cluster; what of it is unknown holds nothing back.
    """
    short = pl.lit(value=False)
    why = pl.lit("")
    raised = pl.col("outcome") == "raise"
    pressed = pl.col("pressure").fill_null(0.0) > 0
    after = pl.when(raised).then("after").otherwise("before")
    if capacity.series_slack is not None and capacity.ingesters:
        is_series = pl.col("limit") == SERIES
        share = capacity.copies / capacity.ingesters
        unused = (pl.col("after") - pl.col("recent").fill_null(0.0)).clip(0) * share
        total = rows.select((after.filter(is_series) * share).sum()).item()
        over = total > (capacity.series_line or 0.0)
        crosses = unused > max(capacity.series_slack, 0.0)
        short |= is_series & raised & (crosses | (pl.lit(over) & ~pressed))
        why = (
            pl.when(is_series & crosses)
            .then(
                pl.concat_str(
                    pl.lit("if it were used up, the busiest ingester would hold "),
                    grouped(unused),
                    pl.lit(f" series more, and has room for {max(capacity.series_slack, 0):,.0f}"),
                )
            )
            .when(is_series)
            .then(
                pl.lit(
                    f"the series limits of all tenants come to {total:,.0f} an ingester, which "
                    f"may hold {capacity.series_line:,.0f}; only who is refused something is raised"
                )
            )
            .otherwise(why)
        )
    if capacity.samples_line is not None:
        is_rate = pl.col("limit") == INGESTION_RATE
        total = rows.select(after.filter(is_rate).sum()).item()
        if total > capacity.samples_line:
            short |= is_rate & raised & ~pressed
            why = (
                pl.when(is_rate)
                .then(
                    pl.lit(
                        f"the rates of all tenants come to {total:,.0f} samples/s, and the "
                        f"distributors may take {capacity.samples_line:,.0f}; only who is refused "
                        "something is raised"
                    )
                )
                .otherwise(why)
            )
    return _withhold(rows, where=short.fill_null(value=False), reason=CAPACITY_SHORT, why=why)


def within_budget(rows: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Withhold what is more than one run may change, the least urgent first.

    A run changes as many limits as the rules say, or those of as many tenants, whichever is more.
    Who is refused something comes first, then raises, the nearest to their limit first, then
    lowerings, the largest first.

    Args:
        rows: decided, with tenant, limit, outcome, before, after, recent, pressure.
        rules: how much a run may change.
    """
    changed = rows.filter(pl.col("outcome").is_in(list(_CHANGED)))
    allowed = ceil(rows["tenant"].n_unique() * rules.max_tenants_share)
    ratio = pl.col("after") / pl.col("before")
    raises = pl.col("outcome") == "raise"
    ranked = (
        changed.group_by("tenant")
        .agg(
            changes=pl.len(),
            refused=(raises & (pl.col("pressure") > 0)).any(),
            raises=raises.any(),
            near=(pl.col("recent") / pl.col("before")).filter(raises).max(),
            far=(1 / ratio).max(),
        )
        .sort(
            pl.col("refused").fill_null(value=False),
            "raises",
            pl.col("near").fill_null(0.0),
            "far",
            "tenant",
            descending=[True, True, True, True, False],
        )
        .with_columns(total=pl.col("changes").cum_sum(), place=pl.int_range(1, pl.len() + 1))
    )
    late = ranked.filter(
        (pl.col("total") > rules.max_changes) & (pl.col("place") > max(allowed, 1))
    )
    if late.is_empty():
        return rows
    waits = pl.col("tenant").is_in(late["tenant"].implode()) & pl.col("outcome").is_in(
        list(_CHANGED)
    )
    why = pl.lit(
        f"this run changed {ranked.height - late.height} tenants already, those at most risk; "
        "this one follows in a later run"
    )
    return _withhold(rows, where=waits, reason=RUN_BUDGET, why=why)


def _withhold(rows: pl.DataFrame, *, where: pl.Expr, reason: str, why: pl.Expr) -> pl.DataFrame:
    would = pl.concat_str(
        pl.lit("would be "),
        pl.when(pl.col("outcome") == "raise").then(pl.lit("raised")).otherwise(pl.lit("lowered")),
        pl.lit(" to "),
        grouped(pl.col("after")),
        pl.lit("; "),
        why,
    )
    return rows.with_columns(
        detail=pl.when(where).then(would).otherwise("detail"),
        reason=pl.when(where).then(pl.lit(reason)).otherwise("reason"),
        after=pl.when(where).then("before").otherwise("after"),
        outcome=pl.when(where).then(pl.lit("withheld")).otherwise("outcome"),
    )
