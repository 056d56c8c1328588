"""What the process tells Prometheus about itself.

One registry per process, built once and passed on; the resident process serves it, so the
counters are live. Tenants are no label here: this program must not be a cardinality blast. Only of
costs the dearest few are one. So are the processes of Mimir, and those that are gone leave with the
next look.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from tasks.alert_metrics import AlertMetrics
from tasks.fleet_gauges import FleetGauges
from tasks.gauges import CacheLookups, MimirResources, ResourceUsage
from tasks.quality import OwnQuality
from tasks.spending import Spending

PREFIX: Final = "mimir_limit_optimizer"

# A protect run takes tens of milliseconds, a backfill minutes.
DURATION_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Telemetry:
    """The metrics of one process, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # A second series for each counter that nobody asked for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.reconciles = Counter(
            f"{PREFIX}_reconcile",
            "Flow runs by flow and outcome.",
            ["flow", "outcome"],
            registry=registry,
        )
        self.reconcile_seconds = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "How long a flow run took.",
            ["flow"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.last_reconcile = Gauge(
            f"{PREFIX}_last_reconcile_timestamp",
            "When the flow last succeeded, in seconds since the epoch.",
            ["flow"],
            registry=registry,
        )
        self.errors = Counter(
            f"{PREFIX}_errors",
            "Flow runs that failed, by flow.",
            ["flow"],
            registry=registry,
        )
        self.limits_applied = Counter(
            f"{PREFIX}_limits_applied",
            "Limits of tenants written to Mimir, by limit.",
            ["limit"],
            registry=registry,
        )
        self.reverts = Counter(
            f"{PREFIX}_lowerings_reverted",
            "Lowerings that were taken back because they refused something, by limit.",
            ["limit"],
            registry=registry,
        )
        self.tenants = Gauge(
            f"{PREFIX}_tenants_monitored",
            "Tenants seen in the newest scrape.",
            registry=registry,
        )
        self.coverage = Gauge(
            f"{PREFIX}_scrape_coverage_ratio",
            "Mimir processes that answered the newest scrape, of those configured.",
            registry=registry,
        )
        self.revision = Gauge(
            f"{PREFIX}_published_revision",
            "The newest revision that every Mimir process confirmed.",
            registry=registry,
        )
        self.revisions = Counter(
            f"{PREFIX}_revisions",
            "Published revisions by what became of them: confirmed, reverted, failed, …",
            ["outcome"],
            registry=registry,
        )
        self.blast_detections = Counter(
            f"{PREFIX}_blast_detections",
            "Looks in which a tenant was out of the usual, by kind: ingestion, queries, series.",
            ["kind"],
            registry=registry,
        )
        self.breaker_states = Gauge(
            f"{PREFIX}_circuit_breaker_state",
            "Tenants by the state of their breaker; those that are not told are closed.",
            ["state"],
            registry=registry,
        )
        self.cluster_rises = Gauge(
            f"{PREFIX}_cluster_rise",
            "1 while all tenants together ask for far more than usual, by kind.",
            ["kind"],
            registry=registry,
        )
        self.leaks = Gauge(
            f"{PREFIX}_leaks",
            "Tenants whose series or samples/s creep up day by day, by kind: leak, growth.",
            ["kind"],
            registry=registry,
        )
        self.writer = Gauge(
            f"{PREFIX}_writer",
            "1 while this process is the one that writes to the sink.",
            registry=registry,
        )
        self.drifts = Counter(
            f"{PREFIX}_drifted_limits",
            "Limits that somebody else changed in what we had published.",
            registry=registry,
        )
        self.audit_export_failing = Gauge(
            f"{PREFIX}_audit_export_failing",
            "1 while the newest try to hand the audit to the target failed: file, configmap.",
            ["target"],
            registry=registry,
        )
        self.audit_dropped = Counter(
            f"{PREFIX}_audit_entries_dropped",
            "Audit entries that went before their time because there were too many.",
            registry=registry,
        )
        self.emergency_level = Gauge(
            f"{PREFIX}_emergency_level",
            "0 none, 1 warning, 2 emergency, 3 panic.",
            registry=registry,
        )
        self.panics = Counter(
            f"{PREFIX}_panic_mode_activations",
            "How often the emergency level became panic, also in a dry run.",
            registry=registry,
        )
        self.emergency_actions = Counter(
            f"{PREFIX}_emergency_actions",
            "Emergency actions that began, by action, also in a dry run.",
            ["action"],
            registry=registry,
        )
        self.recovery_attempts = Counter(
            f"{PREFIX}_recovery_attempts",
            "Steps back to normal by outcome: stepped, stepped_back, relapsed, recovered.",
            ["outcome"],
            registry=registry,
        )
        self.budget_violations = Counter(
            f"{PREFIX}_budget_violations",
            "Budgets that were used up, by scope and period.",
            ["scope", "period"],
            registry=registry,
        )
        self.savings = Counter(
            f"{PREFIX}_cost_recommendations",
            "Recommendations to save that were new, by kind.",
            ["kind"],
            registry=registry,
        )
        self.alerts = AlertMetrics(registry, prefix=PREFIX)
        self.spikes = Counter(
            f"{PREFIX}_spikes_detected",
            "Blasts that began: a breaker that opened, or would have, by kind.",
            ["kind"],
            registry=registry,
        )
        self.write_requests = Counter(
            f"{PREFIX}_rate_limit_requests",
            "Write requests that Mimir counted, by what became of them: accepted, refused.",
            ["result"],
            registry=registry,
        )
        self.throttled = Counter(
            f"{PREFIX}_throttled_requests",
            "Of the refused ones those of tenants whose limits a breaker or an emergency holds.",
            registry=registry,
        )
        self.fleet = FleetGauges(prefix=PREFIX)
        registry.register(self.fleet)
        self.spending = Spending(prefix=PREFIX)
        registry.register(self.spending)
        self.usage = ResourceUsage(prefix=PREFIX)
        registry.register(self.usage)
        self.quality = OwnQuality(prefix=PREFIX)
        registry.register(self.quality)
        self.resources = MimirResources(prefix=PREFIX)
        registry.register(self.resources)
        registry.register(CacheLookups(prefix=PREFIX))
