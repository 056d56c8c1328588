"""Write prefect.yaml and the base job templates of the pools, from what `mlo up` registers.

    python -m deployments.prefect_yaml

Importing this module imports Prefect. The templates are Prefect's own with what differs here, so
whoever writes them needs prefect-kubernetes; whoever uses them does not.
"""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any, Final

from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.flows import Flow
from prefect.workers.process import ProcessWorker
from ruamel.yaml import YAML

from deployments.schedule import ALONE, HEAVY, HEAVY_POOLS, IN_TURN, MIDNIGHT, TAGS, scheduled_flows
from deployments.worker import POOL, ResidentWorker
from policy.settings import Settings

HERE: Final = Path(__file__).parent
PREFECT_YAML: Final = HERE / "prefect.yaml"
POOLS: Final = HERE / "pools"
HEAD: Final = """\
# Written by `make deployments` from deployments/schedule.py. Intervals are those of the default
# settings; `mlo up` registers what is in the pool `resident` by itself, by the settings in force.
"""
IMAGE: Final = "mimir-limit-optimizer:latest"
FINISHED_JOB_SECONDS: Final = 24 * 3600

Json = dict[str, Any]


def prefect_yaml(settings: Settings) -> str:
    """The text of prefect.yaml, with the intervals of the settings."""
    resident = [
        {
            **_deployment(entry.flow, name=entry.flow.name, pool=POOL, limit=ALONE),
            "schedules": []
            if entry.every is None
            else [
                {
                    "interval": round(entry.every.total_seconds()),
                    "anchor_date": (MIDNIGHT + entry.after).isoformat(),
                    "timezone": "UTC",
                }
            ],
        }
        for entry in scheduled_flows(settings)
    ]
    heavy = [
        _deployment(flow, name=pool, pool=pool, limit=IN_TURN)
        for pool in HEAVY_POOLS
        for flow in HEAVY
    ]
    stream = StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(
        {"name": "mimir-limit-optimizer", "pull": [], "deployments": [*resident, *heavy]}, stream
    )
    return HEAD + stream.getvalue()


def pool_templates() -> dict[str, str]:
    """The base job templates, by the name of the pool."""
    # Only who writes them has it, and it has no types.
    from prefect_kubernetes import KubernetesWorker  # type: ignore[import-untyped]  # noqa: PLC0415

    found = {
        POOL: ResidentWorker.get_default_base_job_template(),
        "process": _without_command(ProcessWorker.get_default_base_job_template()),
        "kubernetes": _in_our_image(KubernetesWorker.get_default_base_job_template()),
    }
    return {name: json.dumps(template, indent=2) + "\n" for name, template in found.items()}


def _deployment(
    flow: Flow[..., Any], *, name: str, pool: str, limit: ConcurrencyLimitConfig
) -> Json:
    return {
        "name": name,
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "description": flow.description,
        "tags": list(TAGS),
        "concurrency_limit": {
            "limit": limit.limit,
            "collision_strategy": limit.collision_strategy.value,
        },
        "work_pool": {"name": pool},
    }


def _without_command(template: Json) -> Json:
    """Who may start a run in the UI shall not choose what the worker's machine executes."""
    del template["job_configuration"]["command"]
    del template["variables"]["properties"]["command"]
    return template


def _in_our_image(template: Json) -> Json:
    """Jobs of the image, with the rights of nobody, and settings and token from outside."""
    template = _without_command(template)
    variables = template["variables"]["properties"]
    variables["image"]["default"] = IMAGE
    variables["image"]["description"] = "The image of the jobs, of the same release as `mlo up`."
    variables["finished_job_ttl"]["default"] = FINISHED_JOB_SECONDS
    variables["secret"] = {
        "default": "mimir-limit-optimizer-worker",
        "description": "A Secret whose keys are environment variables: MLO_STORAGE_TOKEN.",
        "title": "Secret",
        "type": "string",
    }
    spec = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    spec["automountServiceAccountToken"] = False
    spec["securityContext"] = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    (container,) = spec["containers"]
    # The image starts `mlo`; a job of Prefect starts `prefect`.
    container["command"] = ["/usr/bin/env"]
    del container["args"]  # then it is Prefect's own
    container["envFrom"] = [{"secretRef": {"name": "{{ secret }}"}}]
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in a pod
    return template


def main() -> None:
    """Write all of it."""
    POOLS.mkdir(exist_ok=True)
    PREFECT_YAML.write_text(prefect_yaml(Settings()), encoding="utf-8")
    for name, text in pool_templates().items():
        (POOLS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
