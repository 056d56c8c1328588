"""Look whether all tenants together ask for far more than usual, and tell it once."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from flows.auditing import allowed
from flows.breaking import usual_now
from flows.runtime import Run, Runtime
from policy.cluster_rise import RISEN, stepped, sums
from policy.detection import KIND_OF, SIGNAL_OF
from policy.settings import Settings
from policy.thresholds import LEAST
from policy.usual import levels
from storage.audit import append_audit
from storage.cluster_rises import cluster_usual, record_rises, running_rises
from tasks.cluster_entries import rises_turned
from tasks.say import say
from tasks.tell import table


def see_cluster(
    runtime: Runtime, run: Run, settings: Settings, *, samples: pl.DataFrame
) -> pl.DataFrame:
    """The RISES that are on after a look, of whose SAMPLES this is the sum."""
    now, memory = runtime.clock(), runtime.memory
    if memory.rises is None:
        memory.rises = running_rises(runtime.database)
    found = sums(samples, usual=_usual(runtime), least=LEAST)
    begins, over, memory.watched = stepped(
        memory.rises,
        found=found,
        watched=memory.watched,
        risen=_risen(runtime, samples=samples) if found["unusual"].any() else RISEN.to_frame(),
        now=now,
    )
    if not (begins.is_empty() and over.is_empty()):
        entries = rises_turned(begins=begins, over=over, run_id=run.run_id, at=now)
        with runtime.database.transaction():
            record_rises(runtime.database, begins=begins, over=over)
            append_audit(runtime.database, allowed(settings, entries))
        memory.rises = pl.concat([memory.rises.join(over, on="kind", how="anti"), begins])
        memory.cluster_usual = None
        say(_lines(begins, over=over))
    for kind in SIGNAL_OF:
        is_on = kind in memory.rises["kind"]
        runtime.telemetry.cluster_rises.labels(kind).set(is_on)
    return memory.rises


def cluster_section(rises: pl.DataFrame) -> str:
    """The section of the report about RISES; empty where there is none."""
    if rises.is_empty():
        return ""
    rows = rises.select("began_at", "because").rows()
    told = [(f"{began_at:%Y-%m-%d %H:%M} UTC", because) for began_at, because in rows]
    return "## The whole cluster\n\n" + table(["since", "why"], told)


def _usual(runtime: Runtime) -> pl.DataFrame:
    """CLUSTER_USUAL, asked for once in an hour."""
    now, memory = runtime.clock(), runtime.memory
    hour = int(now.timestamp() // 3600)
    if memory.cluster_usual is None or memory.cluster_usual[0] != hour:
        signals = list(SIGNAL_OF.values())
        found = cluster_usual(runtime.database, now=now, signals=signals)
        memory.cluster_usual = (hour, found)
    return memory.cluster_usual[1]


def _risen(runtime: Runtime, *, samples: pl.DataFrame) -> pl.DataFrame:
    """RISEN of a look, the most first."""
    usual = levels(usual_now(runtime))
    return (
        samples.filter(pl.col("signal").is_in(list(KIND_OF)))
        .join(usual, on=["tenant", "signal"], how="left")
        .select(
            "tenant",
            kind=pl.col("signal").replace_strict(KIND_OF, return_dtype=pl.String),
            more=pl.col("value") - pl.col("level").fill_null(0.0),
        )
        .filter(pl.col("more") > 0)
        .sort("more", "tenant", descending=[True, False])
    )


def _lines(begins: pl.DataFrame, *, over: pl.DataFrame) -> Iterator[str]:
    for because in begins["because"]:
        yield f"the cluster is out of the usual: {because}"
    for kind, grown in over.select("kind", "grown").iter_rows():
        why = "has held for a day, so it is growth" if grown else "is over"
        yield f"the rise of the whole cluster ({kind}) {why}"
