"""`mlo limits`: every limit that Mimir has, and what is done about it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, settings_of
from deployments.output import Column, Format, show
from policy.catalogue import CORTEX, MIMIR_RELEASES, Catalogue, Class, Limit, known_in
from policy.figures import grouped
from policy.tuned import catalogue_of, tuned
from policy.versions import known_to

COLUMNS: Final = (
    Column(name="limit", heading="limit"),
    Column(name="class", heading="class"),
    Column(name="sized", heading="sized"),
    Column(name="about", heading="about", wraps=True),
)

# One row per limit. `sized`: whether it is sized by itself, by these settings; `default` of a
# number, `default_other` of anything else as JSON; `signal` null where we measure no demand;
# the queries null where no metric shows it.
LISTED: Final = pl.Schema(
    {
        "limit": pl.String(),
        "class": pl.String(),
        "sized": pl.Boolean(),
        "type": pl.String(),
        "unit": pl.String(),
        "default": pl.Float64(),
        "default_other": pl.String(),
        "zero": pl.String(),
        "component": pl.String(),
        "signal": pl.String(),
        "observable": pl.String(),
        "metric": pl.String(),
        "promql_classic": pl.String(),
        "promql_ingest_storage": pl.String(),
        "reject": pl.String(),
        "versions": pl.String(),
    }
)

VersionOption = Annotated[
    str | None,
    typer.Option("--mimir-version", metavar="V", help="Only what this release knows: 3.0.4."),
]
ClassOption = Annotated[
    Class | None,
    typer.Option("--class", metavar="CLASS", help="auto, guarded, manual or destructive."),
]
ObservableOption = Annotated[
    bool,
    typer.Option("--observable", help="Only limits whose demand can be seen before it is refused."),
]


def limits(
    mimir_version: VersionOption = None,
    only_class: ClassOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    observable: ObservableOption = False,
) -> None:
    """List the limits of Mimir: class, default, and how the demand on each shows.

    A class says who sets the limit: auto is sized by itself, guarded when limits.enabled names
    it, manual by people only, destructive never, as it deletes data.
    """
    settings = settings_of(config)
    catalogue = catalogue_of(settings.limits)
    known = (
        frozenset(catalogue)
        if mimir_version is None
        else _known(mimir_version, catalogue=catalogue)
    )
    found = listed(
        {name: limit for name, limit in catalogue.items() if name in known},
        sized=tuned(settings.limits, known=known),
    )
    if only_class is not None:
        found = found.filter(pl.col("class") == only_class)
    if observable:
        found = found.filter(pl.col("observable").is_in(["metric", "api"]))
    show(found, form=output, columns=COLUMNS, table=_told(found))


def _known(version: str, *, catalogue: Catalogue) -> frozenset[str]:
    if version.lstrip("v").startswith("1."):
        return known_to(version, catalogue=catalogue)
    return known_in(CORTEX if version.lower() == "cortex" else version, catalogue=catalogue)


def listed(catalogue: Catalogue, *, sized: Collection[str]) -> pl.DataFrame:
    """LISTED, one row per limit, sorted by its name.

    Args:
        catalogue: which limits.
        sized: which of them are sized by themselves.
    """
    rows = [
        {
            "limit": limit.name,
            "class": limit.automation,
            "sized": limit.name in sized,
            "type": limit.type,
            "unit": limit.unit,
            "default": limit.default if limit.is_number else None,
            "default_other": None if limit.is_number else json.dumps(limit.default),
            "zero": limit.zero,
            "component": limit.component,
            "signal": limit.signal,
            "observable": limit.observable,
            "metric": limit.metric,
            "promql_classic": _query(limit, mode="classic"),
            "promql_ingest_storage": _query(limit, mode="ingest_storage"),
            "reject": limit.reject,
            "versions": _versions(limit),
        }
        for limit in catalogue.values()
    ]
    return pl.DataFrame(rows, schema=LISTED)


def _query(limit: Limit, *, mode: str) -> str | None:
    return limit.promql.get(mode) or limit.promql.get("any")


def _versions(limit: Limit) -> str:
    """`Mimir 2.12+, Cortex`: the first release that was read and knows it, and the last."""
    labels = [label for _, label in MIMIR_RELEASES if label in limit.present_in]
    spoken = {label: f"{major}.{minor}" for (major, minor), label in MIMIR_RELEASES}
    told = []
    if labels:
        last = "+" if labels[-1] == MIMIR_RELEASES[-1][1] else f" to {spoken[labels[-1]]}"
        told.append(f"Mimir {spoken[labels[0]]}{last}")
    if limit.since is not None:
        told.append(f"Mimir {limit.since[0]}.{limit.since[1]}+")
    if CORTEX in limit.present_in:
        told.append("Cortex")
    return ", ".join(told)


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """What a person needs to know of a limit, in one text."""
    default = pl.coalesce(grouped(pl.col("default")), "default_other")
    seen = pl.col("observable")
    demand = (
        pl.when(pl.col("signal") == pl.col("limit"))
        .then(pl.lit("demand measured"))
        .when(pl.col("signal").is_not_null())
        .then(pl.concat_str(pl.lit("demand from the signal "), "signal"))
        .when(seen == "metric")
        .then(pl.lit("demand in a metric that is not read"))
        .when(seen == "api")
        .then(pl.lit("demand through an API that is not asked"))
        .otherwise(pl.lit("demand not observable"))
    )
    zero = pl.when(pl.col("zero") != "-").then(pl.concat_str(pl.lit("0 or empty: "), "zero"))
    refusal = pl.concat_str(pl.lit("refusals in "), "reject")
    unit = pl.when(pl.col("unit") != pl.col("type")).then("unit")
    about = pl.concat_str(
        [
            "type",
            unit,
            pl.concat_str(pl.lit("default "), default),
            zero,
            "component",
            demand,
            refusal,
            "versions",
        ],
        separator="; ",
        ignore_nulls=True,
    )
    return found.with_columns(
        sized=pl.when("sized").then(pl.lit("yes")).otherwise(pl.lit("-")), about=about
    )
