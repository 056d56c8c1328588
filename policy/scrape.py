"""What one look at every pod brought back, and the metric families that are looked at.

A scrape says how much of the cluster it saw. It decides nothing: whether a partial view is
enough is the reader's to judge, by `coverage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

# Distributors
SAMPLES_IN: Final = "cortex_distributor_samples_in_total"
EXEMPLARS_IN: Final = "cortex_distributor_exemplars_in_total"
METADATA_IN: Final = "cortex_distributor_metadata_in_total"
REQUESTS_IN: Final = "cortex_distributor_requests_in_total"
RECEIVED: Final = "cortex_distributor_received_samples_total"
DEDUPED: Final = "cortex_distributor_deduped_samples_total"
HISTOGRAMS_RECEIVED: Final = "cortex_distributor_received_native_histogram_samples_total"
BUCKETS_RECEIVED: Final = "cortex_distributor_received_native_histogram_buckets_total"
HA_ELECTED: Final = "cortex_ha_tracker_elected_replica_timestamp_seconds"
REPLICATION_FACTOR: Final = "cortex_distributor_replication_factor"
INGEST_STORAGE: Final = "cortex_distributor_ingest_storage_enabled"
PARTITIONS: Final = "cortex_partition_ring_partitions"

# Ingesters
SERIES_CREATED: Final = "cortex_ingester_memory_series_created_total"
SERIES_REMOVED: Final = "cortex_ingester_memory_series_removed_total"
SERIES_ACTIVE: Final = "cortex_ingester_active_series"
SERIES_ACTIVE_LOADING: Final = "cortex_ingester_active_series_loading"
SERIES_OWNED: Final = "cortex_ingester_owned_series"
SERIES_TRACKED: Final = "cortex_usage_tracker_active_series"
LOCAL_LIMITS: Final = "cortex_ingester_local_limits"
METADATA_CREATED: Final = "cortex_ingester_memory_metadata_created_total"
METADATA_REMOVED: Final = "cortex_ingester_memory_metadata_removed_total"
SERIES_WITH_EXEMPLARS: Final = "cortex_ingester_tsdb_exemplar_series_with_exemplars_in_storage"
HISTOGRAM_SERIES: Final = "cortex_ingester_active_native_histogram_series"
OUT_OF_ORDER: Final = "cortex_ingester_tsdb_out_of_order_samples_appended_total"
OUT_OF_ORDER_CORTEX: Final = "cortex_ingester_tsdb_head_out_of_order_samples_appended_total"

# What was refused, by reason
DISCARDED: Final = "cortex_discarded_samples_total"
DISCARDED_EXEMPLARS: Final = "cortex_discarded_exemplars_total"
DISCARDED_METADATA: Final = "cortex_discarded_metadata_total"
DISCARDED_REQUESTS: Final = "cortex_discarded_requests_total"
QUEUE_DISCARDS: Final = "cortex_query_scheduler_discarded_requests_total"
FRONTEND_QUEUE_DISCARDS: Final = "cortex_query_frontend_discarded_requests_total"
REJECTED_QUERIES: Final = "cortex_query_frontend_rejected_queries_total"

# Read path
QUERIES: Final = "cortex_query_frontend_queries_total"
QUERY_SECONDS: Final = "cortex_query_seconds_total"
FETCHED_SERIES: Final = "cortex_query_fetched_series_total"
FETCHED_CHUNKS: Final = "cortex_query_fetched_chunks_total"
FETCHED_CHUNK_BYTES: Final = "cortex_query_fetched_chunk_bytes_total"
FETCHED_CHUNK_BYTES_CORTEX: Final = "cortex_query_fetched_chunks_bytes_total"
QUEUE_LENGTH: Final = "cortex_query_scheduler_queue_length"
FRONTEND_QUEUE_LENGTH: Final = "cortex_query_frontend_queue_length"
STORE_GATEWAY_BYTES: Final = "cortex_bucket_store_blocks_loaded_size_bytes"
COMPACTION_JOBS: Final = "cortex_bucket_index_estimated_compaction_jobs"

# Rules and alerts
RULES: Final = "cortex_prometheus_rule_group_rules"
RULE_RESULTS: Final = "cortex_prometheus_last_evaluation_samples"
RULE_SLOTS: Final = "cortex_ruler_independent_rule_evaluation_concurrency_slots_in_use"
RULER_QUERY_SECONDS: Final = "cortex_ruler_query_seconds_total"
ALERTS: Final = "cortex_alertmanager_alerts_limiter_current_alerts"
ALERT_BYTES: Final = "cortex_alertmanager_alerts_limiter_current_alerts_size_bytes"
ALERTS_REFUSED: Final = "cortex_alertmanager_alerts_insert_limited_total"
SILENCES: Final = "cortex_alertmanager_silences"
NOTIFICATIONS: Final = "cortex_alertmanager_notifications_total"
NOTIFICATIONS_REFUSED: Final = "cortex_alertmanager_notification_rate_limited_total"
COST_ATTRIBUTED_SERIES: Final = "cortex_cost_attribution_active_series_tracker_cardinality"
COST_ATTRIBUTED_SAMPLES: Final = "cortex_cost_attribution_sample_tracker_cardinality"

# Configuration and build
RELOAD_SUCCESSFUL: Final = "cortex_runtime_config_last_reload_successful"
RUNTIME_HASH: Final = "cortex_runtime_config_hash"
LIMITS_OVERRIDES: Final = "cortex_limits_overrides"  # Mimir's overrides-exporter
LIMITS_DEFAULTS: Final = "cortex_limits_defaults"
CORTEX_OVERRIDES: Final = "cortex_overrides"  # Cortex's
BUILD: Final = "cortex_build_info"  # of both, with the version
MIMIR_BUILD: Final = "mimir_build_info"

# What a process itself uses, and its limits as a whole
CPU_SECONDS: Final = "process_cpu_seconds_total"
CORES_USED_AT_ONCE: Final = "go_sched_gomaxprocs_threads"
RESIDENT_BYTES: Final = "process_resident_memory_bytes"
MEMORY_LIMIT: Final = "go_gc_gomemlimit_bytes"
LIVE_BYTES: Final = "go_gc_heap_live_bytes"
STARTED: Final = "process_start_time_seconds"
NETWORK_RECEIVED: Final = "process_network_receive_bytes_total"
NETWORK_SENT: Final = "process_network_transmit_bytes_total"
DISTRIBUTOR_LIMITS: Final = "cortex_distributor_instance_limits"
DISTRIBUTOR_INFLIGHT: Final = "cortex_distributor_inflight_push_requests"
DISTRIBUTOR_INFLIGHT_BYTES: Final = "cortex_distributor_inflight_push_requests_bytes"
DISTRIBUTOR_INGESTION: Final = "cortex_distributor_ingestion_rate_samples_per_second"
DISTRIBUTOR_REJECTED: Final = "cortex_distributor_instance_rejected_requests_total"
INGESTER_LIMITS: Final = "cortex_ingester_instance_limits"
INGESTER_INFLIGHT: Final = "cortex_ingester_inflight_push_requests"
INGESTER_INFLIGHT_BYTES: Final = "cortex_ingester_inflight_push_requests_bytes"
INGESTER_INGESTION: Final = "cortex_ingester_ingestion_rate_samples_per_second"
INGESTER_REJECTED: Final = "cortex_ingester_instance_rejected_requests_total"
INGESTER_SERIES: Final = "cortex_ingester_memory_series"
INGESTER_TENANTS: Final = "cortex_ingester_memory_users"

RESOURCE_FAMILIES: Final = frozenset(
    {
        CPU_SECONDS,
        CORES_USED_AT_ONCE,
        RESIDENT_BYTES,
        MEMORY_LIMIT,
        LIVE_BYTES,
        STARTED,
        NETWORK_RECEIVED,
        NETWORK_SENT,
        DISTRIBUTOR_LIMITS,
        DISTRIBUTOR_INFLIGHT,
        DISTRIBUTOR_INFLIGHT_BYTES,
        DISTRIBUTOR_INGESTION,
        DISTRIBUTOR_REJECTED,
        INGESTER_LIMITS,
        INGESTER_INFLIGHT,
        INGESTER_INFLIGHT_BYTES,
        INGESTER_INGESTION,
        INGESTER_REJECTED,
        INGESTER_SERIES,
        INGESTER_TENANTS,
    }
)

FAMILIES: Final = RESOURCE_FAMILIES | frozenset(
    {
        SAMPLES_IN,
        EXEMPLARS_IN,
        METADATA_IN,
        REQUESTS_IN,
        RECEIVED,
        DEDUPED,
        HISTOGRAMS_RECEIVED,
        BUCKETS_RECEIVED,
        HA_ELECTED,
        REPLICATION_FACTOR,
        INGEST_STORAGE,
        PARTITIONS,
        SERIES_CREATED,
        SERIES_REMOVED,
        SERIES_ACTIVE,
        SERIES_ACTIVE_LOADING,
        SERIES_OWNED,
        SERIES_TRACKED,
        LOCAL_LIMITS,
        METADATA_CREATED,
        METADATA_REMOVED,
        SERIES_WITH_EXEMPLARS,
        HISTOGRAM_SERIES,
        OUT_OF_ORDER,
        OUT_OF_ORDER_CORTEX,
        DISCARDED,
        DISCARDED_EXEMPLARS,
        DISCARDED_METADATA,
        DISCARDED_REQUESTS,
        QUEUE_DISCARDS,
        FRONTEND_QUEUE_DISCARDS,
        REJECTED_QUERIES,
        QUERIES,
        QUERY_SECONDS,
        FETCHED_SERIES,
        FETCHED_CHUNKS,
        FETCHED_CHUNK_BYTES,
        FETCHED_CHUNK_BYTES_CORTEX,
        QUEUE_LENGTH,
        FRONTEND_QUEUE_LENGTH,
        STORE_GATEWAY_BYTES,
        COMPACTION_JOBS,
        RULES,
        RULE_RESULTS,
        RULE_SLOTS,
        RULER_QUERY_SECONDS,
        ALERTS,
        ALERT_BYTES,
        ALERTS_REFUSED,
        SILENCES,
        NOTIFICATIONS,
        NOTIFICATIONS_REFUSED,
        COST_ATTRIBUTED_SERIES,
        COST_ATTRIBUTED_SAMPLES,
        RELOAD_SUCCESSFUL,
        RUNTIME_HASH,
        LIMITS_OVERRIDES,
        LIMITS_DEFAULTS,
        CORTEX_OVERRIDES,
        BUILD,
        MIMIR_BUILD,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One process of Mimir, and where it is asked.

    Attributes:
        name: what it is called everywhere: in readings, in messages. A pod found in Kubernetes
            has its pod's name, which outlives its address and ends in the ordinal of a
            StatefulSet; any other has its base URL.
        url: the base URL, without a last slash and without credentials.
        metrics_path: where its metrics page is, below `url`.
    """

    name: str
    url: str
    metrics_path: str = "/metrics"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scrape:
    """The readings of all the pods that answered, and who did not.

    Attributes:
        at: when the scrape began, aware UTC. The moment of each pod's own answer is in `readings`.
        readings: READINGS of the families in FAMILIES.
        answered: the names of the pods whose page was read.
        failed: the names of the pods whose page was not, with one line each that says why.
        addresses: base URLs by pod name, of those that can be asked more than their metrics.
        ahead: seconds that the clock of each who was asked is ahead of ours, where it said.
        second_hand: the readings went through a Prometheus, which may keep only some families.
    """

    at: datetime
    readings: pl.DataFrame
    answered: tuple[str, ...]
    failed: Mapping[str, str]
    addresses: Mapping[str, str] = field(default_factory=dict)
    ahead: Mapping[str, float] = field(default_factory=dict)
    second_hand: bool = False

    @property
    def urls(self) -> tuple[str, ...]:
        """Base URLs of the pods that answered."""
        return tuple(self.addresses[pod] for pod in self.answered if pod in self.addresses)

    @property
    def coverage(self) -> float:
        """Pods answered / pods known, 0..1; no pods known is no coverage."""
        known = len(self.answered) + len(self.failed)
        return len(self.answered) / known if known else 0.0
