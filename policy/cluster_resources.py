"""What Kubernetes knows of Mimir's pods: which questions are asked in PromQL, and what is told.

The questions go to a Prometheus that scrapes the kubelets (cAdvisor, volumes) and
kube-state-metrics. Without those the answers are empty, and nothing is known; the limits of the
containers come from kube-state-metrics alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

import polars as pl

from policy.resources import (
    COMPONENTS,
    CONTAINER_RESTARTS,
    CPU,
    DISK,
    MEMORY,
    NETWORK_IN,
    NETWORK_OUT,
    OOM_KILLED,
    RESOURCES,
)

Question = tuple[str, Literal["used", "limit"]]
"""A resource, and which of its two columns is asked for."""

ANSWER: Final = pl.Schema({"pod": pl.String(), "container": pl.String(), "value": pl.Float64()})

RESTARTS_WINDOW: Final = timedelta(minutes=15)
# The charts of Mimir and Cortex name containers by component; sidecars have other names.
CONTAINERS: Final = (*COMPONENTS, "mimir", "cortex")


def questions(*, namespace: str, window: timedelta) -> dict[Question, str]:
    """What to ask, in PromQL; every answer has the labels pod and, of most, container.

    Args:
        namespace: where Mimir's pods are.
        window: what rates are taken over, at least four scrapes of the kubelets.
    """
    here = f"namespace={json.dumps(namespace, ensure_ascii=False)}"
    ours = f'{here},container=~"{"|".join(CONTAINERS)}"'
    over = f"[{round(window.total_seconds())}s]"
    restarts = f"[{round(RESTARTS_WINDOW.total_seconds())}s]"
    limits = "kube_pod_container_resource_limits"
    ended = "kube_pod_container_status_last_terminated_reason"
    return {
        (CPU, "used"): _of_container(f"rate(container_cpu_usage_seconds_total{{{ours}}}{over})"),
        (CPU, "limit"): _of_container(f'{limits}{{{ours},resource="cpu"}}'),
        (MEMORY, "used"): _of_container(f"container_memory_working_set_bytes{{{ours}}}"),
        (MEMORY, "limit"): _of_container(f'{limits}{{{ours},resource="memory"}}'),
        # The network belongs to the pod, not to one of its containers.
        (NETWORK_IN, "used"): _of_pod(
            f"rate(container_network_receive_bytes_total{{{here}}}{over})"
        ),
        (NETWORK_OUT, "used"): _of_pod(
            f"rate(container_network_transmit_bytes_total{{{here}}}{over})"
        ),
        (DISK, "used"): _volume("kubelet_volume_stats_used_bytes", here=here),
        (DISK, "limit"): _volume("kubelet_volume_stats_capacity_bytes", here=here),
        (CONTAINER_RESTARTS, "used"): _of_container(
            f"increase(kube_pod_container_status_restarts_total{{{ours}}}{restarts})"
        ),
        (OOM_KILLED, "used"): _of_container(f'{ended}{{{ours},reason="OOMKilled"}}'),
    }


def cluster_resources(answers: Mapping[Question, pl.DataFrame]) -> pl.DataFrame:
    """The answers as RESOURCES, of those pods that have a container of Mimir.

    Args:
        answers: ANSWER by question; one that is absent leaves its column null.
    """
    told = [
        answer.select(
            "pod",
            pl.when(pl.col("container").is_in(COMPONENTS)).then("container").alias("component"),
            pl.col("container").is_not_null().alias("ours"),
            pl.lit(resource).alias("resource"),
            pl.col("value").alias(column),
            pl.lit(None, dtype=pl.Float64()).alias("limit" if column == "used" else "used"),
        ).select("pod", "component", "ours", "resource", "used", "limit")
        for (resource, column), answer in answers.items()
    ]
    if not told:
        return pl.DataFrame(schema=RESOURCES)
    rows = pl.concat(told)
    of_pod = pl.col("component").drop_nulls().first().over("pod")
    return (
        rows.with_columns(of_pod.alias("component"), pl.col("ours").any().over("pod"))
        .filter("ours")
        .group_by("pod", "component", "resource")
        .agg(pl.col("used", "limit").drop_nulls().max())
        .select(RESOURCES.names())
        .sort("pod", "resource")
    )


def _of_container(expression: str) -> str:
    # An exporter that runs twice gives each series twice; the pod has it once.
    return f"max by (pod, container) ({expression})"


def _of_pod(expression: str) -> str:
    return f"sum by (pod) (max by (pod, interface) ({expression}))"


def _volume(family: str, *, here: str) -> str:
    """By pod: kubelets tell of claims, and kube-state-metrics whose they are."""
    used = f"max by (namespace, persistentvolumeclaim) ({family}{{{here}}})"
    claims = f"kube_pod_spec_volumes_persistentvolumeclaims_info{{{here}}}"
    return f"max by (pod) ({used} * on (namespace, persistentvolumeclaim) group_right {claims})"
