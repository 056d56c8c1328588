"""What a run tells people of Mimir's own processes."""

from __future__ import annotations

from typing import Final

import polars as pl

from policy.figures import figure
from policy.resources import CPU, INSTANCE, MEMORY, REJECTED, RESTARTS, UP
from tasks.tell import table

SHOWN: Final = 10
_GIB: Final = 2**30


def restart_lines(resources: pl.DataFrame) -> list[str]:
    """One line for each process that restarted between two looks."""
    restarted = resources.filter(pl.col("resource") == RESTARTS, pl.col("used") > 0)
    return [f"{pod} restarted" for pod in restarted["pod"]]


def resources_section(resources: pl.DataFrame) -> str:
    """The fullest processes as a section in Markdown; empty while nothing is known.

    Args:
        resources: RESOURCES.
    """
    if resources.is_empty():
        return ""
    full = pl.when(pl.col("limit") > 0).then(pl.col("used") / pl.col("limit"))
    pods = (
        resources.with_columns(full.alias("full"))
        .group_by("pod")
        .agg(pl.col("component").drop_nulls().first(), pl.col("full").max(), *_columns())
        .sort("full", "pod", descending=[True, False], nulls_last=True)
    )
    rows = [
        (
            row["pod"],
            row["component"] or "unknown",
            "yes" if row["up"] else "no",
            _of(row["cpu"], row["cpu_limit"], unit="cores"),
            _of(_gib(row["memory"]), _gib(row["memory_limit"]), unit="GiB"),
            _fullest(row["limit"], row["limit_full"]),
            figure(row["rejected"]),
            "yes" if row["restarts"] else "no",
        )
        for row in pods.head(SHOWN).iter_rows(named=True)
    ]
    more = f"\n\n… and {pods.height - SHOWN:,} less full." if pods.height > SHOWN else ""
    headings = [
        "process",
        "component",
        "up",
        "CPU",
        "memory",
        "own limit",
        "refused/s",
        "restarted",
    ]
    return f"## Processes of Mimir\n\n{table(headings, rows)}{more}"


def _columns() -> list[pl.Expr]:
    def one(resource: str, column: str = "used") -> pl.Expr:
        return pl.col(column).filter(pl.col("resource") == resource).first()

    own = pl.col("resource").is_in(list(INSTANCE.values())) & pl.col("full").is_not_null()
    by_fullness = pl.col("full").filter(own)
    return [
        one(UP).alias("up"),
        one(CPU).alias("cpu"),
        one(CPU, "limit").alias("cpu_limit"),
        one(MEMORY).alias("memory"),
        one(MEMORY, "limit").alias("memory_limit"),
        one(REJECTED).alias("rejected"),
        one(RESTARTS).alias("restarts"),
        by_fullness.max().alias("limit_full"),
        pl.col("resource").filter(own).sort_by(by_fullness, descending=True).first().alias("limit"),
    ]


def _of(used: float | None, limit: float | None, *, unit: str) -> str:
    if used is None:
        return "unknown"
    return (
        f"{figure(used)} {unit}" if limit is None else f"{figure(used)} of {figure(limit)} {unit}"
    )


def _gib(amount_bytes: float | None) -> float | None:
    return None if amount_bytes is None else amount_bytes / _GIB


def _fullest(name: str | None, ratio: float | None) -> str:
    return "none" if name is None or ratio is None else f"{ratio:.0%} of {name}"
