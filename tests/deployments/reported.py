"""A history with something for each part of a report, and what the report of it says."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from policy.breakers import BREAKERS, TURNS
from policy.cost.bills import BILLS
from policy.cost.pricing import priced
from policy.cost.recommendation import SAVINGS
from policy.cost.terms import terms_of
from policy.cost.usage import USAGE
from policy.frames import DECISIONS, LIMITS
from policy.settings import parse_settings
from policy.signals import INGESTION_RATE, SAMPLES_ASKED, SERIES
from storage.breakers import replace_breakers
from storage.budgets import STANDING, replace_budgets
from storage.costs import replace_costs
from storage.database import Database
from storage.decisions import record_decisions
from storage.limits import observe_limits
from storage.origin import claim
from storage.rollups import ROLLUPS, import_rollups
from storage.savings import replace_savings
from storage.standings import replace_standings
from storage.tenants import seen
from tests.policy.stood import standing, standings_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = "</script><img src=x onerror=alert(1)>"
TURNED = 'blue\u202e"&team'
ACME, QUIET = "acme", "quiet"
TREE: dict[str, Any] = {
    "mode": "prod",
    "tenantTierMapping": {"acme": "standard"},
    "limits": {"tenantTiers": {"standard": {"bufferPercentage": 20}}},
    "costControl": {
        "costMethod": "samples",
        "globalBudget": {"currency": "EUR"},
        "teamBudgets": {TURNED: {"tenants": [HOSTILE], "monthly": 9}},
        "prices": [{"from": "2026-01-01", "perMillionSamples": "0.5"}],
    },
}
DEMAND = {ACME: 8_000.0, HOSTILE: 4_000.0}
HOURS = 72


def fill(database: Database) -> None:
    """Three days of two tenants, one of them in a blast, and a third that was never measured."""
    claim(database, simulated=False, at=NOW)
    seen(database, [ACME, HOSTILE, QUIET], at=NOW, asking=[ACME, HOSTILE], whole=True)
    observe_limits(
        database,
        pl.DataFrame([("", INGESTION_RATE, 10_000.0)], schema=LIMITS, orient="row"),
        at=NOW,
    )
    rollups = [
        {"at": NOW - n * HOUR, "tenant": tenant, "signal": signal, "count": 1, "coverage": 1.0}
        | dict.fromkeys(("max", "mean", "sum"), value)
        for n in range(1, HOURS + 1)
        for tenant, value in DEMAND.items()
        for signal in (INGESTION_RATE, SAMPLES_ASKED)
    ]
    import_rollups(
        database, pl.DataFrame(rollups, schema=ROLLUPS), now=NOW, sustained_for=35 * HOUR / 60
    )
    replace_standings(
        database,
        standings_of(
            standing(ACME, at=NOW, value=13_000.0, severity="warning", utilisation=0.9),
            standing(
                HOSTILE,
                at=NOW,
                severity="critical",
                pressed_days_ago=0,
                hit_probability=0.4,
                proposed=13_000.0,
            ),
            standing(
                QUIET, SERIES, at=NOW, severity="unknown", utilisation=None, hit_probability=None
            ),
        ),
    )
    decided = [
        _decision(NOW - 2 * HOUR, "raise", 10_000.0, 13_000.0),
        _decision(NOW - HOUR, "hold", 13_000.0, 13_000.0),
    ]
    for each in decided:
        frame = pl.DataFrame([each], schema=DECISIONS)
        record_decisions(database, frame, run_id="r", flow="optimize")
    _turn(database, "closed", "open", at=NOW - 5 * HOUR)
    _turn(database, "open", "cooling", at=NOW - 4 * HOUR)
    _pay(database)
    budget = {
        "scope": "team",
        "name": TURNED,
        "unit": "month",
        "budget": Decimal(9),
        "enforced": False,
        "currency": "EUR",
        "starts": datetime(2026, 11, 1, tzinfo=UTC),
        "ends": datetime(2026, 12, 1, tzinfo=UTC),
        "passed": 0.75,
        "hours": 24,
        "spent": Decimal("8.1"),
        "left": Decimal("0.9"),
        "used": 0.9,
        "method": "theil-sen",
        "p10": 9.5,
        "p50": 10.25,
        "p90": 11.75,
        "over_probability": 0.97,
        "crosses_on": date(2026, 11, 25),
    }
    rows = [dict.fromkeys(STANDING.names()) | budget]
    replace_budgets(database, pl.DataFrame(rows, schema=STANDING), at=NOW)
    saving = {
        "kind": "lower_limit",
        "tenant": HOSTILE,
        "limit": INGESTION_RATE,
        "exposure": Decimal("12.5"),
        "realised": Decimal(0),
        "because": f"{HOSTILE} asks for less",
        "command": "mlo pin …",
    }
    replace_savings(
        database,
        pl.DataFrame([dict.fromkeys(SAVINGS.names()) | saving], schema=SAVINGS),
        currency="EUR",
        at=NOW,
    )


def _decision(at: datetime, outcome: str, before: float, after: float) -> dict[str, object]:
    return {
        "at": at,
        "tenant": ACME,
        "limit": INGESTION_RATE,
        "outcome": outcome,
        "reason": "above_dead_band",
        "detail": f"demand of {HOSTILE}",
        "before": before,
        "after": after,
        "steps": "[]",
    }


def _turn(database: Database, before: str, after: str, *, at: datetime) -> None:
    told = (HOSTILE, before, after, "ingestion", "far more than usual")
    replace_breakers(
        database,
        BREAKERS.to_frame(),
        turns=pl.DataFrame([told], schema=TURNS, orient="row"),
        evidence={},
        at=at,
        run_id="r",
    )


def _pay(database: Database) -> None:
    """Every hour of the last day costs 14.4 and 7.2."""
    hours = [NOW - n * HOUR for n in range(1, 25)]
    usage = [
        (at, tenant, 3600.0, value, *[None] * 5) for at in hours for tenant, value in DEMAND.items()
    ]
    replace_costs(
        database,
        priced(
            pl.DataFrame(usage, schema=USAGE, orient="row"),
            terms=terms_of(parse_settings(TREE).cost_control),
        ),
        bills=BILLS.to_frame(),
        start=hours[-1],
        end=NOW,
        run_id="r",
    )


def data_of(html: str) -> dict[str, Any]:
    """What the script of a page draws."""
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    found = json.loads(block)
    assert isinstance(found, dict)
    return found
