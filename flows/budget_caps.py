"""What budgets that are used up do to limits: the layer `budget`, after each run of `cost`.

The layer is only written here; the next run of `protect` publishes it. A dry run says what it would
cap, and writes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import polars as pl

from flows.auditing import allowed
from flows.in_force import limits_beneath
from flows.runtime import Run, Runtime
from policy.audit import AuditEntry
from policy.cost.enforcement import BILLED, LAYER, Ground, bitten, budget_layer
from policy.cost.prices import BEGINNING
from policy.emergency.caps import base_of, same
from policy.frames import LAYERS, empty
from policy.layers import LAST_WORDS
from policy.settings import Settings
from policy.signals import SAMPLES_PER_REQUEST
from policy.tenancy import in_scope
from policy.tuned import bounds_of, tuned
from storage.layers import read_layers
from storage.reading import known_tenants
from storage.samples import baseline
from storage.usual_needs import usual_needs
from tasks.cost_entries import budgets_enforced, budgets_lifted
from tasks.record import record_layer
from tasks.say import say

USUAL_WINDOW: Final = timedelta(days=28)
REQUESTS_WINDOW: Final = timedelta(hours=6)
_BENEATH: Final = ("tier", "optimized")
_MOST_LINES: Final = 20


async def enforce(runtime: Runtime, run: Run, settings: Settings, *, status: pl.DataFrame) -> None:
    """Cap what enforced budgets that are used up cap, lift the rest, tell what changed.

    Args:
        runtime: the history, the clock.
        run: this run.
        settings: all of them.
        status: STATUS of each budget; without a row nothing is capped.
    """
    layers = read_layers(runtime.database, now=runtime.clock())
    caps = _caps(runtime, settings, status=status, layers=layers)
    run.summary["budget_caps"] = caps.height
    acting = settings.mode == "prod"
    # What expired since the run before is still in the history, and is told as lifted.
    known = read_layers(runtime.database, now=BEGINNING).filter(layer=LAYER)
    before = known if acting else runtime.memory.would_cap
    if before is None:
        before = empty(LAYERS)
    entries = _entries(caps, before=before, acting=acting, run=run, runtime=runtime)
    say(_lines(caps, before=before, acting=acting))
    runtime.memory.would_cap = None if acting else caps
    wanted = caps if acting else empty(LAYERS)
    if not same(wanted, known) or entries:
        await record_layer(
            wanted,
            layer=LAYER,
            database=runtime.database,
            run_id=run.run_id,
            audit=allowed(settings, entries),
        )


def _caps(
    runtime: Runtime, settings: Settings, *, status: pl.DataFrame, layers: pl.DataFrame
) -> pl.DataFrame:
    tenants = pl.Series(known_tenants(runtime.database), dtype=pl.String())
    patterns = settings.emergency.critical_tenants
    critical = in_scope(tenants, skip=(), include=patterns).to_list() if patterns else []
    found = bitten(status, tenants=tenants, rules=settings.cost_control, critical=critical)
    if found.is_empty():
        return empty(LAYERS)
    limits = {name: signal for name, signal in tuned(settings.limits).items() if name in BILLED}
    now, whose, bounds = runtime.clock(), found["tenant"], bounds_of(settings.limits)
    remembered = base_of(layers.filter(layer=LAYER))
    fresh = limits_beneath(
        runtime,
        tenants=whose,
        limits=list(limits),
        words=layers.filter(pl.col("layer").is_in(_BENEATH)),
        bounds=bounds,
    ).join(remembered, on=["tenant", "limit"], how="anti")
    requests = baseline(
        runtime.database, now=now, window=REQUESTS_WINDOW, signal=SAMPLES_PER_REQUEST
    )
    ground = Ground(
        base=pl.concat([remembered, fresh]),
        needs=usual_needs(
            runtime.database, limits=limits, tenants=whose.to_list(), now=now, window=USUAL_WINDOW
        ),
        requests=requests.select("tenant", request="baseline"),
        spoken=layers.filter(pl.col("layer").is_in(LAST_WORDS)).select("tenant", "limit").unique(),
        bounds=bounds,
    )
    return budget_layer(found, ground=ground, written_at=now)


def _entries(
    caps: pl.DataFrame, *, before: pl.DataFrame, acting: bool, run: Run, runtime: Runtime
) -> list[AuditEntry]:
    at = runtime.clock()
    return [
        *budgets_enforced(_news(caps, before), acting=acting, run_id=run.run_id, at=at),
        *budgets_lifted(
            _lifted(caps, before),
            reason="no budget that is enforced is used up any more",
            run_id=run.run_id,
            at=at,
        ),
    ]


def _news(caps: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """The caps of tenants of which one is new or has another value."""
    keys = ["tenant", "limit", "value"]
    changed = caps.join(before.select(keys), on=keys, how="anti").select("tenant").unique()
    return caps.join(changed, on="tenant", how="semi", maintain_order="left")


def _lifted(caps: pl.DataFrame, before: pl.DataFrame) -> list[str]:
    return sorted(set(before["tenant"]) - set(caps["tenant"]))


def _lines(caps: pl.DataFrame, *, before: pl.DataFrame, acting: bool) -> Iterator[str]:
    would = "caps" if acting else "dry run: would cap"
    news = _news(caps, before)
    for tenant, limit, value, reason in (
        news.select("tenant", "limit", "value", "reason").head(_MOST_LINES).iter_rows()
    ):
        yield f"budget: {would} {limit} of {tenant} at {value:,.0f}: {reason}"
    if news.height > _MOST_LINES:
        yield f"budget: and {news.height - _MOST_LINES:,} limits more"
    for tenant in _lifted(caps, before)[:_MOST_LINES]:
        yield f"budget: {tenant} is capped no more" if acting else f"budget: {tenant} would not be"
