"""How the settings price: the book, the method, its weights, and what a cluster needs."""

from __future__ import annotations

from datetime import timedelta

from policy.cost.capacity import Cluster
from policy.cost.prices import price_book
from policy.cost.pricing import Terms
from policy.cost.usage import HOURS_PER_MONTH
from policy.settings.cost import CostControl


def terms_of(rules: CostControl) -> Terms:
    """How the settings price."""
    retention = rules.retention
    return Terms(
        book=price_book(rules),
        method=rules.cost_method,
        weights=rules.weights.model_dump(),
        retention_months=None
        if retention is None
        else retention / timedelta(hours=1) / HOURS_PER_MONTH,
        cluster=Cluster(replication=rules.replication_factor),
    )
