"""prefect.yaml and the templates of the pools: as `mlo up` has it, and as Prefect takes it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.orchestration import PrefectClient
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from prefect.workers.process import ProcessJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
from ruamel.yaml import YAML

from deployments import schedule
from deployments.prefect_yaml import POOLS, PREFECT_YAML, pool_templates, prefect_yaml
from deployments.schedule import HEAVY, register, scheduled_flows
from deployments.worker import POOL
from flows.report import report
from policy.settings import Settings

WRITTEN = YAML(typ="safe").load(PREFECT_YAML)["deployments"]
RESIDENT = [each for each in WRITTEN if each["work_pool"]["name"] == POOL]
UNASKED = PrefectClient("http://127.0.0.1:1/api")  # nothing in a template has to be asked for
RUN = ["prefect", "flow-run", "execute"]


def test_the_files_are_what_the_generator_writes() -> None:
    """
    After a change of deployments/schedule.py: make deployments
    """
    assert PREFECT_YAML.read_text() == prefect_yaml(Settings())
    assert {file.stem: file.read_text() for file in POOLS.iterdir()} == pool_templates()


async def test_mlo_up_registers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[RunnerDeployment] = []

    async def noted(self: RunnerDeployment) -> UUID:
        registered.append(self)
        return uuid4()

    async def nothing(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(RunnerDeployment, "aapply", noted)
    monkeypatch.setattr(schedule, "get_client", nullcontext)
    monkeypatch.setattr(schedule, "_ensure_pool", nothing)
    monkeypatch.setattr(schedule.LocalFileSystem, "save", nothing)
    await register(scheduled_flows(Settings()))

    assert [_words(each) for each in registered] == RESIDENT


def _words(deployment: RunnerDeployment) -> dict[str, Any]:
    options = deployment.concurrency_options
    assert options is not None
    return {
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": deployment.tags,
        "concurrency_limit": {
            "limit": deployment.concurrency_limit,
            "collision_strategy": options.collision_strategy.value,
        },
        "work_pool": {"name": deployment.work_pool_name},
        "schedules": [
            {
                "interval": each.schedule.interval.total_seconds(),
                "anchor_date": each.schedule.anchor_date.isoformat(),
                "timezone": each.schedule.timezone,
            }
            for each in deployment.schedules or []
        ],
    }


def test_prefect_reads_all_of_it_and_finds_every_flow() -> None:
    read = PrefectYamlModel.model_validate(YAML(typ="safe").load(PREFECT_YAML))

    assert len(read.deployments) == len(scheduled_flows(Settings())) + 2 * len(HEAVY)
    for each in read.deployments:
        assert load_flow_from_entrypoint(str(each.entrypoint)).description == each.description


@pytest.mark.parametrize("flow", HEAVY, ids=lambda flow: flow.name)
def test_every_parameter_of_the_form_says_what_it_is_for(
    flow: Flow[..., Any],
) -> None:
    properties = parameter_schema(flow).properties

    assert properties
    assert all(each["description"] for each in properties.values())


async def test_a_process_cannot_be_given_another_command() -> None:
    template = json.loads((POOLS / "process.json").read_text())

    made = await ProcessJobConfiguration.from_template_and_values(
        template, {"command": "reboot"}, client=UNASKED
    )

    assert made.command is None


async def test_a_job_of_kubernetes_runs_the_flow_in_our_image_as_nobody() -> None:
    template = json.loads((POOLS / "kubernetes.json").read_text())

    made = await KubernetesWorkerJobConfiguration.from_template_and_values(
        template,
        {"image": "registry.test/mlo:1", "env": {"MLO_STORAGE__URL": "quack:mlo:9494"}},
        client=UNASKED,
    )
    made._populate_command_if_not_present()
    pod = made.job_manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert [*container["command"], *container["args"]] == ["/usr/bin/env", *RUN]
    assert container["image"] == "registry.test/mlo:1"
    assert container["envFrom"] == [{"secretRef": {"name": "mimir-limit-optimizer-worker"}}]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]


@pytest.mark.parametrize(
    ("file", "refused"), [(None, False), ("", False), ("week.html", False), ("limits.yaml", True)]
)
def test_a_report_is_written_over_no_file_of_another_kind(
    file: str | None,
    refused: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    schema = parameter_schema(report).model_dump()

    assert bool(validate({"days": 7, "file": file}, schema)) is refused
