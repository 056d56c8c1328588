"""Which metrics of a tenant have the most series, as Mimir's cardinality API counts them.

Every tenant has the same thirty metrics, the first with the most series; what explodes is one of
its own, and everything that explodes is of it.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qs

from simulator.cluster import Cluster

EXPLODING: Final = "request_seconds_by_session"
METRICS: Final = (
    "http_request_duration_seconds_bucket",
    "container_network_receive_bytes_total",
    "grpc_server_handled_total",
    *(f"app_metric_{number:02}" for number in range(27)),
)
_WEIGHTS: Final = [1.0 / (place + 3) for place in range(len(METRICS))]

_DEFAULT_LIMIT: Final = 20
_MOST: Final = 500


def refusal(query: str) -> str | None:
    """Why the question is not answered; None: it is."""
    asked = parse_qs(query)
    if "label_names[]" not in asked:
        return "'label_names[]' param is required"
    if not asked.get("limit", ["1"])[0].isdecimal():
        return "limit param is not a number"
    if int(asked.get("limit", ["1"])[0]) > _MOST:
        return f"'limit' param cannot be greater than '{_MOST}'"
    return None


def label_values(cluster: Cluster, *, tenant: str, query: str) -> str:
    """The series of each metric, replicas counted once, the fullest first, as JSON."""
    limit = int(parse_qs(query).get("limit", [str(_DEFAULT_LIMIT)])[0])
    counted = sorted(_series(cluster, tenant).items(), key=lambda one: (-one[1], one[0]))
    whole = sum(series for _, series in counted)
    label = {
        "label_name": "__name__",
        "label_values_count": len(counted),
        "series_count": whole,
        "cardinality": [
            {"label_value": metric, "series_count": series} for metric, series in counted[:limit]
        ],
    }
    return json.dumps({"series_count_total": whole, "labels": [label] if counted else []})


def _series(cluster: Cluster, tenant: str) -> dict[str, int]:
    held = [one.tenants[tenant] for one in cluster.ingesters if tenant in one.tenants]
    copies = min(cluster.plan.replication_factor, cluster.plan.ingesters)
    exploded = sum(replica.exploded for replica in held) / copies
    usual = sum(replica.memory for replica in held) / copies - exploded
    counted = {
        metric: round(usual * weight / sum(_WEIGHTS))
        for metric, weight in zip(METRICS, _WEIGHTS, strict=True)
    }
    return {
        metric: series
        for metric, series in (counted | {EXPLODING: round(exploded)}).items()
        if series
    }
