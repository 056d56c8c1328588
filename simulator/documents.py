"""The pages beside `/metrics`: configuration, limits, versions and statistics."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from simulator.cluster import Cluster
from simulator.limits import DEFAULTS, Value
from simulator.process_page import VERSION
from simulator.processes import Process
from simulator.runtime_file import Loaded

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NOT_A_STRING: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))

_USER_LIMITS: Final = (
    "ingestion_rate",
    "ingestion_burst_size",
    "ingestion_burst_factor",
    "max_global_series_per_user",
    "max_global_series_per_metric",
    "max_global_exemplars_per_user",
    "max_fetched_chunks_per_query",
    "max_fetched_series_per_query",
    "max_fetched_chunk_bytes_per_query",
    "ruler_max_rules_per_rule_group",
    "ruler_max_rule_groups_per_tenant",
)


def runtime_config(loaded: Loaded, *, diff: bool) -> str:
    """The configuration in force as YAML: every limit of each tenant, or only what differs.

    An override equal to the default does not show in the difference, as in Mimir.
    """
    tenants: dict[str, Mapping[str, object]] = {}
    for tenant, own in sorted(loaded.overrides.items()):
        differing = {name: value for name, value in own.items() if value != DEFAULTS[name]}
        if differing or not diff:
            tenants[tenant] = differing if diff else loaded.effective(tenant)
    tree = {"overrides": tenants, **loaded.instance_limits}
    return _yaml({section: limits for section, limits in tree.items() if limits})


def config(cluster: Cluster, process: Process) -> str:
    """The start-up configuration of a process as YAML, with the default limits."""
    replication = {"replication_factor": cluster.plan.replication_factor}
    return _yaml(
        {
            "target": process.target,
            "multitenancy_enabled": True,
            "ingester": {"ring": replication},
            "limits": DEFAULTS,
            "runtime_config": {
                "period": f"{cluster.plan.reload_period_seconds:g}s",
                "file": ",".join(str(path) for path in cluster.plan.runtime_files),
            },
        }
    )


def user_limits(loaded: Loaded, *, tenant: str) -> str:
    """The effective limits of one tenant that Mimir tells over its API, as JSON."""
    effective = loaded.effective(tenant)
    shown: dict[str, Value] = {"compactor_blocks_retention_period_seconds": 0}
    return json.dumps(shown | {name: effective[name] for name in _USER_LIMITS})


def build_info() -> str:
    """The version, as JSON."""
    return json.dumps(
        {
            "status": "success",
            "data": {
                "application": "Grafana Mimir",
                "version": VERSION,
                "revision": "simulated",
                "branch": "simulated",
                "goVersion": "none",
                "features": {},
            },
        }
    )


def all_user_stats(cluster: Cluster) -> list[dict[str, object]]:
    """Rates and series by tenant, summed over all ingesters: replicas count each."""
    by_tenant: list[dict[str, object]] = []
    for tenant in cluster.plan.tenants:
        held = [ingester.tenants[tenant.name] for ingester in cluster.ingesters]
        rate = sum(replica.samples_per_second for replica in held)
        by_tenant.append(
            {
                "userID": tenant.name,
                "ingestionRate": rate,
                "numSeries": int(sum(replica.memory for replica in held)),
                "APIIngestionRate": rate,
                "RuleIngestionRate": 0,
            }
        )
    return by_tenant


def _yaml(tree: Mapping[str, object]) -> str:
    return "\n".join(_lines(tree, indent="")) + "\n" if tree else "{}\n"


def _lines(tree: Mapping[str, object], *, indent: str) -> Iterator[str]:
    for name, value in tree.items():
        plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _NOT_A_STRING
        key = name if plain else json.dumps(name)
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, indent=indent + "    ")
        else:
            scalar = ".inf" if value == math.inf else json.dumps(value, default=str)
            yield f"{indent}{key}: {scalar}"
