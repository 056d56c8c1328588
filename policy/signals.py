"""The signals that are measured and are not themselves the demand on a limit.

A sample whose `signal` is the name of a Mimir limit is the demand on that limit, in the
limit's own unit; which limits have one is in `policy.measures`. These are the others.
"""

from __future__ import annotations

from typing import Final

# The limit that lets all of it through: Mimir gives each distributor an equal share of it.
INGESTION_RATE: Final = "ingestion_rate"  # samples/s, of the busiest distributor times all of them
INGESTION_BURST_SIZE: Final = "ingestion_burst_size"  # samples/s of the busiest distributor
REQUEST_RATE: Final = "request_rate"  # requests/s, of the busiest distributor times all of them
REQUEST_BURST_SIZE: Final = "request_burst_size"  # requests/s of the busiest distributor
SERIES: Final = "max_global_series_per_user"  # in-memory series, by the fullest ingester's share

# The limits that are sized by their own demand.
SIZED: Final = (INGESTION_RATE, INGESTION_BURST_SIZE, SERIES)

SAMPLES_ASKED: Final = "samples_asked_per_second"  # samples/s before the limiter, all added up
REQUESTS_ASKED: Final = "requests_asked_per_second"  # requests/s, the same way, the refused too
SAMPLES_RECEIVED: Final = "samples_received_per_second"  # samples/s that were accepted
SAMPLES_PER_REQUEST: Final = (
    "samples_per_request"  # mean of the interval: a burst below refuses all
)
DEDUPLICATED: Final = "deduplicated_samples_per_second"  # samples/s of replicas not elected
OUT_OF_ORDER: Final = "out_of_order_samples_per_second"  # samples/s, each copy counted once

SERIES_CREATED_RATE: Final = "series_created_per_second"  # new series/s, each copy counted once
ACTIVE_SERIES: Final = "active_series"  # series, each copy counted once
OWNED_SERIES: Final = "owned_series"  # series, each copy counted once; only where tracked
SERIES_FULLEST_SHARE: Final = "series_fullest_share"  # 0..1 of the local limit, fullest ingester
NATIVE_HISTOGRAM_SERIES: Final = "active_native_histogram_series"  # series, counted once
NATIVE_HISTOGRAM_BUCKETS: Final = "native_histogram_buckets_per_second"  # buckets/s accepted
BUCKETS_PER_NATIVE_HISTOGRAM: Final = "buckets_per_native_histogram"  # mean of the interval

QUERIES: Final = "queries_per_second"  # queries/s that came to the query-frontends
QUERY_SECONDS: Final = "query_seconds_per_second"  # querier-seconds/s, sharded parts added up
QUERY_LENGTH: Final = (
    "query_length_seconds"  # s, from the first sample that a query asks for to the last
)
QUERY_REACH: Final = "query_reach_seconds"  # s, from the first sample that a query asks for to now
FETCHED_SERIES: Final = "fetched_series_per_second"  # series/s, all queries together
FETCHED_CHUNKS: Final = "fetched_chunks_per_second"  # chunks/s, all queries together
FETCHED_CHUNK_BYTES: Final = "fetched_chunk_bytes_per_second"  # bytes/s, all queries together
QUERY_QUEUE_LENGTH: Final = "query_queue_length"  # queries that wait for a querier
RULER_QUERY_SECONDS: Final = "ruler_query_seconds_per_second"  # seconds/s that rules query for
STORE_GATEWAY_BYTES: Final = "store_gateway_bytes"  # index headers on all store-gateways' disks
COMPACTION_JOBS: Final = "compaction_jobs"  # jobs that wait, as estimated

DISCARDED_RATE_LIMITED: Final = "discarded_rate_limited_per_second"  # samples/s: a rate limit bit
DISCARDED_SERIES_LIMIT: Final = "discarded_series_limit_per_second"  # samples/s: a series limit bit
DISCARDED_ACTIVE_SERIES: Final = "discarded_active_series_limit_per_second"  # samples/s
DISCARDED_METRIC_SERIES: Final = "discarded_metric_series_limit_per_second"  # samples/s
DISCARDED_LABELSET_SERIES: Final = "discarded_labelset_series_limit_per_second"  # samples/s
DISCARDED_LABEL_COUNT: Final = "discarded_label_count_per_second"  # samples/s
DISCARDED_INFO_LABEL_COUNT: Final = "discarded_info_label_count_per_second"  # samples/s
DISCARDED_LABEL_NAME: Final = "discarded_label_name_length_per_second"  # samples/s
DISCARDED_LABEL_VALUE: Final = "discarded_label_value_length_per_second"  # samples/s
DISCARDED_LABELS_SIZE: Final = "discarded_labels_size_per_second"  # samples/s
DISCARDED_HISTOGRAM_BUCKETS: Final = "discarded_histogram_buckets_per_second"  # samples/s
DISCARDED_HISTOGRAM_RATE: Final = "discarded_histogram_rate_limited_per_second"  # samples/s
DISCARDED_HA_CLUSTERS: Final = "discarded_ha_clusters_per_second"  # samples/s
DISCARDED_REQUESTS: Final = "discarded_requests_per_second"  # write requests/s: request_rate bit
DISCARDED_METADATA: Final = "discarded_metadata_limit_per_second"  # metadata entries/s
DISCARDED_METRIC_METADATA: Final = "discarded_metric_metadata_limit_per_second"  # entries/s
DISCARDED_QUERIES: Final = "discarded_queries_per_second"  # queries/s: the tenant's queue was full
DISCARDED_ALERTS: Final = "discarded_alerts_per_second"  # alerts/s: a limit on alerts bit
DISCARDED_NOTIFICATIONS: Final = "discarded_notifications_per_second"  # notifications/s
DISCARDED_DUPLICATES: Final = "discarded_duplicates_per_second"  # samples/s another sent already
DISCARDED_QUALITY: Final = "discarded_quality_per_second"  # items/s of bad data: raises nothing
DISCARDED_OTHER: Final = "discarded_other_per_second"  # items/s, reason unknown: raises nothing
BLASTING: Final = "blasting"  # 1 while the demand is a blast: no evidence of what is needed

# Zero of it, its default, is no limit: then the limit on all series is enforced in its place.
ACTIVE_SERIES_LIMIT: Final = "max_active_series_per_user"

# Which discards say that a limit bites: the pressure on it.
PRESSURE_ON: Final = {
    INGESTION_RATE: DISCARDED_RATE_LIMITED,
    INGESTION_BURST_SIZE: DISCARDED_RATE_LIMITED,
    "ingestion_burst_factor": DISCARDED_RATE_LIMITED,
    REQUEST_RATE: DISCARDED_REQUESTS,
    REQUEST_BURST_SIZE: DISCARDED_REQUESTS,
    SERIES: DISCARDED_SERIES_LIMIT,
    ACTIVE_SERIES_LIMIT: DISCARDED_ACTIVE_SERIES,
    "max_global_series_per_metric": DISCARDED_METRIC_SERIES,
    "limits_per_label_set": DISCARDED_LABELSET_SERIES,
    "max_label_names_per_series": DISCARDED_LABEL_COUNT,
    "max_label_names_per_info_series": DISCARDED_INFO_LABEL_COUNT,
    "max_label_name_length": DISCARDED_LABEL_NAME,
    "max_label_value_length": DISCARDED_LABEL_VALUE,
    "max_labels_size_bytes": DISCARDED_LABELS_SIZE,
    "max_native_histogram_buckets": DISCARDED_HISTOGRAM_BUCKETS,
    "native_histogram_ingestion_rate": DISCARDED_HISTOGRAM_RATE,
    "native_histogram_ingestion_burst_size": DISCARDED_HISTOGRAM_RATE,
    "ha_max_clusters": DISCARDED_HA_CLUSTERS,
    "max_global_metadata_per_user": DISCARDED_METADATA,
    "max_global_metadata_per_metric": DISCARDED_METRIC_METADATA,
    "max_queriers_per_tenant": DISCARDED_QUERIES,
    "alertmanager_max_alerts_count": DISCARDED_ALERTS,
    "alertmanager_max_alerts_size_bytes": DISCARDED_ALERTS,
    "alertmanager_notification_rate_limit": DISCARDED_NOTIFICATIONS,
}

# Every signal of discards, whatever they say.
DISCARD_SIGNALS: Final = (
    *dict.fromkeys(PRESSURE_ON.values()),
    DISCARDED_DUPLICATES,
    DISCARDED_QUALITY,
    DISCARDED_OTHER,
)

# More than zero of one of these, and the tenant asks for something. Not what lingers when it has
# stopped: series in memory for hours, silences and blocks for days.
ASKING_RATES: Final = (
    SAMPLES_ASKED,
    INGESTION_RATE,
    SAMPLES_RECEIVED,
    REQUESTS_ASKED,
    REQUEST_RATE,
    QUERIES,
    QUERY_SECONDS,
    RULER_QUERY_SECONDS,
    "alertmanager_notification_rate_limit",
    *DISCARD_SIGNALS,
)
ASKING_LEVELS: Final = (
    QUERY_QUEUE_LENGTH,
    "ruler_max_rule_groups_per_tenant",
    "alertmanager_max_alerts_count",
)
