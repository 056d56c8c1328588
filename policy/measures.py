"""Which metric families make which signal, and how their samples are put together: a table.

Nothing is computed here. A measure adds up families per pod and tenant, and is told as one or
more signals by how the pods are put together. A signal that is named like a limit bounds what
that limit must allow; a mean, which bounds nothing, has a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from policy import scrape as families
from policy import signals

# sum: of all pods; busiest: the pod with the most; largest: the largest single sample;
# rows: how many samples there are on all pods; most_rows: on the pod with the most;
# fullest: the pod with the most, times the pods that have any: what an even spread would need;
# shared: the pod with the most, times all pods that tell the measure of anybody: what a limit must
# be of which each of them enforces an equal share. Where limits are not shared it is the sum.
How = Literal["sum", "busiest", "largest", "rows", "most_rows", "fullest", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One quantity per pod and tenant.

    Attributes:
        name: unique.
        families: family -> weight; a sample adds its value (of a rate: its growth per second)
            times the weight. What a pod adds up to is never below zero.
        told_as: how the pods are put together -> the signal.
        rate: the families are counters, and their growth counts, not their value.
        copied: ingesters hold copies; each counts once.
        zeros: zero is told; without it, only tenants that have some are.
    """

    name: str
    families: Mapping[str, float]
    told_as: Mapping[How, str]
    rate: bool = False
    copied: bool = False
    zeros: bool = True


def _level(
    told_as: Mapping[How, str], *added: str, copied: bool = False, zeros: bool = True
) -> Measure:
    weights = dict.fromkeys(added, 1.0)
    return Measure(name=added[0], families=weights, told_as=told_as, copied=copied, zeros=zeros)


def _rate(
    told_as: Mapping[How, str], *added: str, copied: bool = False, zeros: bool = False
) -> Measure:
    weights = dict.fromkeys(added, 1.0)
    return Measure(
        name=added[0], families=weights, told_as=told_as, rate=True, copied=copied, zeros=zeros
    )


# Mimir's and Cortex's limiters meter samples, exemplars and metadata; HA duplicates never reach
# them. The families "in" count before the limiter in both. Mimir's lets `limit / distributors` pass
# on each, however a tenant's connections are spread; what an uneven one needs is above its sum. A
# look is shorter than what a burst can bridge, so what is uneven only for seconds counts too.
METERED: Final = Measure(
    name="metered",
    families={
        families.SAMPLES_IN: 1.0,
        families.EXEMPLARS_IN: 1.0,
        families.METADATA_IN: 1.0,
        families.DEDUPED: -1.0,
    },
    told_as={
        "sum": signals.SAMPLES_ASKED,
        "shared": signals.INGESTION_RATE,
        "busiest": signals.INGESTION_BURST_SIZE,
    },
    rate=True,
)
RECEIVED: Final = Measure(
    name="received",
    families={families.RECEIVED: 1.0},
    told_as={"sum": signals.SAMPLES_RECEIVED},
    rate=True,
)
# A request that request_rate refuses is counted in no family but that of the discards.
REQUESTS: Final = Measure(
    name="requests",
    families={families.REQUESTS_IN: 1.0, families.DISCARDED_REQUESTS: 1.0},
    told_as={
        "sum": signals.REQUESTS_ASKED,
        "shared": signals.REQUEST_RATE,
        "busiest": signals.REQUEST_BURST_SIZE,
    },
    rate=True,
)
# A lower bound: ingesters of the tenant's shard that hold none of it are not seen here, and those
# that share its limit are. Ingesters tell their local limit of series only, so the share of the
# fullest one is not known, and the catalogue says that the limit is only raised.
_METADATA: Final = Measure(
    name="metadata",
    families={families.METADATA_CREATED: 1.0, families.METADATA_REMOVED: -1.0},
    told_as={"fullest": "max_global_metadata_per_user"},
    copied=True,
)
_HISTOGRAM_SAMPLES: Final = Measure(
    name="histograms",
    families={families.HISTOGRAMS_RECEIVED: 1.0},
    told_as={"sum": signals.BUCKETS_PER_NATIVE_HISTOGRAM},  # divided in policy.demand
    rate=True,
    zeros=False,
)

MEASURES: Final = (
    METERED,
    RECEIVED,
    REQUESTS,
    _rate({"sum": signals.DEDUPLICATED}, families.DEDUPED),
    _rate({"sum": signals.NATIVE_HISTOGRAM_BUCKETS}, families.BUCKETS_RECEIVED),
    _HISTOGRAM_SAMPLES,
    _rate(
        {"sum": signals.OUT_OF_ORDER},
        families.OUT_OF_ORDER,
        families.OUT_OF_ORDER_CORTEX,
        copied=True,
    ),
    # Who creates none has to be known as such, or its explosion would be compared with nothing.
    _rate({"sum": signals.SERIES_CREATED_RATE}, families.SERIES_CREATED, copied=True, zeros=True),
    _level({"most_rows": "ha_max_clusters"}, families.HA_ELECTED),
    _level({"sum": signals.ACTIVE_SERIES}, families.SERIES_ACTIVE, copied=True),
    _level({"sum": signals.OWNED_SERIES}, families.SERIES_OWNED, copied=True),
    _level(
        {"sum": signals.NATIVE_HISTOGRAM_SERIES},
        families.HISTOGRAM_SERIES,
        copied=True,
        zeros=False,
    ),
    # Each zone tracks all partitions: zones stand for pods here (policy.demand).
    _level({"busiest": "max_active_series_per_user"}, families.SERIES_TRACKED),
    _METADATA,
    # A series keeps one exemplar at least: a lower bound of what the ring buffer needs.
    _level(
        {"fullest": "max_global_exemplars_per_user"}, families.SERIES_WITH_EXEMPLARS, copied=True
    ),
    _rate({"sum": signals.QUERIES}, families.QUERIES),
    _rate({"sum": signals.QUERY_SECONDS}, families.QUERY_SECONDS),
    _rate({"sum": signals.FETCHED_SERIES}, families.FETCHED_SERIES),
    _rate({"sum": signals.FETCHED_CHUNKS}, families.FETCHED_CHUNKS),
    _rate(
        {"sum": signals.FETCHED_CHUNK_BYTES},
        families.FETCHED_CHUNK_BYTES,
        families.FETCHED_CHUNK_BYTES_CORTEX,
    ),
    _level(
        {"sum": signals.QUERY_QUEUE_LENGTH}, families.QUEUE_LENGTH, families.FRONTEND_QUEUE_LENGTH
    ),
    _level({"sum": signals.STORE_GATEWAY_BYTES}, families.STORE_GATEWAY_BYTES, zeros=False),
    _level({"sum": signals.COMPACTION_JOBS}, families.COMPACTION_JOBS, zeros=False),
    # One sample per group; a group is on one ruler.
    _level(
        {"rows": "ruler_max_rule_groups_per_tenant", "largest": "ruler_max_rules_per_rule_group"},
        families.RULES,
    ),
    # Of a whole group, so an upper bound for one rule.
    _level({"largest": "ruler_max_rule_evaluation_results"}, families.RULE_RESULTS),
    _level(
        {"sum": "ruler_max_independent_rule_evaluation_concurrency_per_tenant"},
        families.RULE_SLOTS,
    ),
    _rate({"sum": signals.RULER_QUERY_SECONDS}, families.RULER_QUERY_SECONDS),
    # Each replica of the Alertmanager holds all alerts and silences, expired silences too.
    _level({"busiest": "alertmanager_max_alerts_count"}, families.ALERTS),
    _level({"busiest": "alertmanager_max_alerts_size_bytes"}, families.ALERT_BYTES),
    _level({"busiest": "alertmanager_max_silences_count"}, families.SILENCES),
    _rate({"busiest": signals.DISCARDED_ALERTS}, families.ALERTS_REFUSED),
    # Of all integrations together, while the limit is of one: an upper bound.
    _rate({"sum": "alertmanager_notification_rate_limit"}, families.NOTIFICATIONS, zeros=True),
    _level(
        {"largest": "max_cost_attribution_cardinality"},
        families.COST_ATTRIBUTED_SERIES,
        families.COST_ATTRIBUTED_SAMPLES,
    ),
)
