"""`mlo recommend`: the newest decision on each tenant and limit, those that change first."""

from __future__ import annotations

from typing import Final

import polars as pl

from deployments.commands.options import (
    ConfigOption,
    OutputOption,
    TenantArgument,
    say,
    settings_of,
)
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown
from policy.figures import grouped
from storage import reading

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="before", heading="now"),
    Column(name="after", heading="recommended", missing="-"),
    Column(name="change", heading="change"),
    Column(name="detail", heading="why", missing="", wraps=True),
)

_STEPS: Final = pl.List(
    pl.Struct(
        {
            "name": pl.String(),
            "before": pl.Float64(),
            "after": pl.Float64(),
            "because": pl.String(),
        }
    )
)
_PLACES: Final = {"raise": 0, "lower": 0, "hold": 1, "withheld": 2}


def recommend(
    tenant: TenantArgument = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show what each limit should be, and why.

    The largest changes come first, then what stays, then what was withheld.
    """
    url = settings_of(config).storage.url
    decisions = reading.newest_decisions(url)
    if tenant is not None:
        refuse_unknown(tenant, known=reading.known_tenants(url))
        decisions = decisions.filter(pl.col("tenant") == tenant)
    if decisions.is_empty():
        say("nothing was decided yet; `mlo up` decides every updateInterval")
    found = recommendations(decisions)
    show(found, form=output, columns=COLUMNS, table=_told(found))


def recommendations(decisions: pl.DataFrame) -> pl.DataFrame:
    """Decisions in the order in which a person wants to see them.

    Args:
        decisions: STORED_DECISIONS, one per tenant and limit.

    Returns:
        All of its columns; `steps` as a list, and `change_percent`, null where none is known.
    """
    moved = pl.when(pl.col("outcome").is_in(["raise", "lower"]) & (pl.col("before") > 0)).then(
        ((pl.col("after") / pl.col("before") - 1) * 100).round(2)
    )
    return (
        decisions.with_columns(
            change_percent=moved,
            steps=pl.col("steps").str.json_decode(_STEPS),
            place=pl.col("outcome").replace_strict(_PLACES, default=len(_PLACES)),
        )
        .sort(
            "place",
            # What was 0 or unknown and is something now is the largest change of all.
            pl.col("change_percent").abs().fill_null(float("inf")),
            "tenant",
            "limit",
            descending=[False, True, False, False],
        )
        .drop("place")
    )


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """With the change as `+30 %`, or the outcome in one word where nothing is known to move."""
    percent = pl.col("change_percent").round(0)
    sign = pl.when(percent > 0).then(pl.lit("+")).otherwise(pl.lit(""))
    moved = pl.concat_str(sign, grouped(percent), pl.lit(" %"))
    text = pl.when(percent.is_not_null()).then(moved)
    return found.with_columns(change=pl.coalesce(text, "outcome"))
