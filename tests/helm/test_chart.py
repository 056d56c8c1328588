"""What the chart makes: objects that Kubernetes takes, hold to its restricted profile, and fit."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import helm_python
import kubernetes.client
import pytest

from policy.settings import Settings
from policy.settings.pending import set_without_effect
from tests.helm.rendering import (
    CHART,
    PRESETS,
    ROOT,
    Object,
    Rendered,
    chart,
    given,
    merged,
    render,
    values_of,
)
from tests.helm.rendering import settings_of as settings_in

EVERYTHING = given(
    "controller.mode=prod,replicaCount=2,alerting.slack.webhook=https://hooks.example/x",
    "existingSecret=mine,prefect.apiUrl=http://prefect:4200/api,auditLog.storageType=configmap",
    "publish.touchPods=true,mimir.triggerRollout=true,mimir.rolloutComponents={mimir-querier}",
    "ingress.enabled=true,ingress.host=mlo.example,ingress.className=nginx",
    "ingress.tls[0].secretName=tls,ingress.tls[0].hosts={mlo.example}",
    "networkPolicy.enabled=true,networkPolicy.from[0].namespaceSelector.matchLabels.a=b",
    "networkPolicy.egress[0].ports[0].port=443,serviceMonitor.enabled=true",
    "prometheusRule.enabled=true,dashboards.enabled=true,persistence.storageClass=fast",
    "imagePullSecrets[0].name=registry,priorityClassName=high,nodeSelector.a=b",
    "tolerations[0].operator=Exists,rbac.createConfigMap=true,service.annotations.a=b",
    "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy:3128",
    "extraVolumes[0].name=ca,extraVolumes[0].configMap.name=ca",
    "extraVolumeMounts[0].name=ca,extraVolumeMounts[0].mountPath=/etc/ca",
)
CASES: dict[str, Object] = {
    "defaults": {},
    "everything": EVERYTHING,
    "no-volume": given("persistence.enabled=false"),
    "their-own-account": given("serviceAccount.create=false,rbac.create=false"),
    **{preset.stem: values_of(preset) for preset in PRESETS},
}
WORKDIR = re.compile(r"^WORKDIR (.+)$", re.MULTILINE)
# Custom resources, of which the client has no models.
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
BY_ITS_GROUP = {
    "v1": "V1",
    "apps/v1": "V1",
    "policy/v1": "V1",
    "networking.k8s.io/v1": "V1",
    "rbac.authorization.k8s.io/v1": "V1",
    "coordination.k8s.io/v1": "V1",
}


@cache
def rendered_case(name: str) -> Rendered:
    return render(CASES[name])


@pytest.fixture(params=CASES, ids=list(CASES))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return rendered_case(request.param)


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_no_fault_in_it(case: str) -> None:
    report = helm_python.lint(CHART, CASES[case], strict=True)

    assert report["errors"] == []
    assert [found["error"] for found in report["messages"]] == ["icon is recommended"]


def test_every_object_is_what_the_schema_of_kubernetes_allows(rendered: Rendered) -> None:
    for found in rendered.objects:
        if found["kind"] in CUSTOM:
            continue
        model: Any = getattr(
            kubernetes.client, f"{BY_ITS_GROUP[found['apiVersion']]}{found['kind']}"
        )
        read = model.model_validate(found)  # refuses unknown keys and other types

        # The client takes its own spelling of keys as well; Kubernetes drops those.
        assert plain(read.model_dump(by_alias=True, exclude_unset=True)) == plain(found)


def test_the_schema_of_kubernetes_refuses_a_key_that_it_does_not_know() -> None:
    wrong = render().one("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"

    with pytest.raises(ValueError, match="imagePolicy"):
        kubernetes.client.V1Deployment.model_validate(wrong)


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Without what is not there, and times as text."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items() if held is not None}
    return [plain(held) for held in value] if isinstance(value, list) else value


def test_all_names_are_unique_and_each_object_says_whose_it_is(rendered: Rendered) -> None:
    names = [
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"])
        for each in rendered.objects
    ]

    assert len(set(names)) == len(names)
    for each in rendered.objects:
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "mimir-limit-optimizer"
        assert "ClusterRole" not in each["kind"]


def test_every_pod_holds_to_the_restricted_profile(rendered: Rendered) -> None:
    for each in [*rendered.all("Deployment"), *rendered.all("StatefulSet")]:
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]

        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        volumes = {volume["name"] for volume in pod["volumes"]}
        claimed = {
            each["metadata"]["name"] for each in each["spec"].get("volumeClaimTemplates", [])
        }
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes | claimed


def test_a_selector_finds_its_pods_and_no_others(rendered: Rendered) -> None:
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in [*rendered.all("Deployment"), *rendered.all("StatefulSet")]
    }

    def found(selector: Object) -> set[str]:
        return {name for name, labels in pods.items() if selector.items() <= labels.items()}

    for each in [*rendered.all("Deployment"), *rendered.all("StatefulSet")]:
        assert found(each["spec"]["selector"]["matchLabels"]) == {each["metadata"]["name"]}
    for each in rendered.all("Service"):
        assert found(each["spec"]["selector"]) == {each["metadata"]["name"]}
    for each in rendered.all("NetworkPolicy"):
        assert found(each["spec"]["podSelector"]["matchLabels"]) == set(pods)


def test_two_processes_never_share_a_volume() -> None:
    deployment = render().one("Deployment")

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert render().one("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_one_replica_has_no_disruption_budget() -> None:
    assert render().all("PodDisruptionBudget") == []


def test_a_second_replica_is_a_standby_with_a_history_of_its_own() -> None:
    found = render(given("controller.mode=prod,replicaCount=3"))

    assert found.one("Deployment")["spec"]["replicas"] == 1
    standby = found.one("StatefulSet")
    assert standby["spec"]["replicas"] == 2
    (claim,) = standby["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert found.one("PodDisruptionBudget")["spec"]["minAvailable"] == 1
    assert found.pod()["spec"]["affinity"]["podAntiAffinity"]


def test_no_replica_stops_everything() -> None:
    found = render(given("replicaCount=0"))

    assert found.one("Deployment")["spec"]["replicas"] == 0
    assert found.all("StatefulSet") == []


def test_a_standby_without_a_lease_to_wait_for_is_refused() -> None:
    with pytest.raises(helm_python.HelmError, match=r"publish\.sink http has none"):
        render(given("replicaCount=2,publish.sink=http"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_a_preset_is_settings_that_can_be_used_and_have_an_effect(
    preset: Path, tmp_path: Path
) -> None:
    settings = settings_in(render(values_of(preset)), tmp_path)

    assert settings.mode == "prod"
    assert set_without_effect(settings) == []


def test_the_defaults_are_a_dry_run_in_the_cluster(tmp_path: Path) -> None:
    settings = settings_in(render(), tmp_path)

    assert settings.mode == "dry-run"
    assert settings.publish.sink == "configmap"
    assert settings.server.host == "0.0.0.0"


def test_mimir_is_looked_for_where_its_limits_are_unless_said_otherwise(tmp_path: Path) -> None:
    one = settings_in(render(given("mimir.namespace=mimir")), tmp_path / "one")
    both = given("mimir.namespace=mimir,metricsDiscovery.namespace=pods")
    other = settings_in(render(both), tmp_path / "other")

    assert one.metrics_discovery.namespace == "mimir"
    assert other.metrics_discovery.namespace == "pods"


def test_a_changed_setting_starts_the_pod_anew_and_another_value_does_not() -> None:
    def checksum(*expressions: str) -> str:
        annotations = render(given(*expressions)).pod()["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum("controller.mode=prod") != checksum()
    assert checksum("server.viewerToken=0123456789abcdef") != checksum()
    assert checksum("service.annotations.a=b") == checksum()


def test_the_settings_are_mounted_as_a_folder_that_the_kubelet_refreshes() -> None:
    mounts = {each["name"]: each for each in render().container()["volumeMounts"]}

    assert mounts["settings"]["mountPath"] == render().variables()["MLO_CONFIG"]
    assert "subPath" not in mounts["settings"]


def test_the_volume_is_where_the_image_keeps_what_it_writes() -> None:
    """Every relative path of the settings is in it, the state of a sink as well as the history."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    mounts = {each["name"]: each["mountPath"] for each in render().container()["volumeMounts"]}
    kept = [
        Settings().storage.url,
        str(Settings().publish.cortex_api.state),
        "data/overrides.yaml",  # of the chart
    ]

    assert f"\nVOLUME {mounts['data']}\n" in dockerfile
    for path in kept:
        assert str(PurePosixPath(WORKDIR.findall(dockerfile)[-1], path).parent) == mounts["data"]


def test_the_pod_runs_the_program_of_the_image_as_its_user() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    who = render().pod()["spec"]["securityContext"]

    assert f"\nUSER {who['runAsUser']}:{who['runAsGroup']}\n" in dockerfile
    assert '\nENTRYPOINT ["mlo"]\n' in dockerfile
    assert render().container()["args"] == ["up"]


def test_the_chart_has_the_version_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert chart().metadata["appVersion"] == project["version"]


def test_the_probes_and_the_service_name_the_port_that_is_set() -> None:
    found = render(given("server.port=9090"))
    container = found.container()

    assert container["ports"] == [{"name": "http", "containerPort": 9090}]
    assert found.one("Service")["spec"]["ports"][0]["port"] == 9090
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"


def test_the_history_is_served_at_the_port_that_is_set_and_nowhere_else() -> None:
    found = render(given("networkPolicy.enabled=true,storage.listen=0.0.0.0:9494"))
    silent = render(given("networkPolicy.enabled=true"))

    def open_at(rendered: Rendered) -> list[object]:
        return [
            [port["name"] for port in rendered.container()["ports"]],
            [port["name"] for port in rendered.one("Service")["spec"]["ports"]],
            [port["port"] for port in rendered.one("NetworkPolicy")["spec"]["ingress"][0]["ports"]],
        ]

    assert open_at(silent) == [["http"]] * 3
    assert open_at(found) == [["http", "history"]] * 3
    assert found.container()["ports"][1]["containerPort"] == 9494
    assert found.one("Service")["spec"]["ports"][1]["port"] == 9494


def test_a_prefect_server_elsewhere_is_named_in_the_environment() -> None:
    found = render(given("prefect.apiUrl=http://prefect:4200/api"))

    assert found.variables()["PREFECT_API_URL"] == "http://prefect:4200/api"
    assert "PREFECT_API_URL" not in render().variables()


def test_the_service_monitor_finds_the_services_and_their_port() -> None:
    found = render(EVERYTHING)
    monitor = found.one("ServiceMonitor")["spec"]

    for service in found.all("Service"):
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_the_rules_are_those_of_the_repository_but_for_the_one_that_a_dry_run_raises() -> None:
    written = values_of(CHART / "files" / "rules.yaml")["groups"]
    prod = render(given("prometheusRule.enabled=true,controller.mode=prod"))
    dry = render(given("prometheusRule.enabled=true"))

    assert prod.one("PrometheusRule")["spec"]["groups"] == written
    (group,) = dry.one("PrometheusRule")["spec"]["groups"]
    left_out = [rule for rule in written[0]["rules"] if rule not in group["rules"]]
    assert [rule["alert"] for rule in left_out] == ["MimirLimitOptimizerNoWriter"]


def test_the_dashboards_fit_into_a_config_map_and_are_those_of_the_repository() -> None:
    found = render(EVERYTHING).one("ConfigMap", "mimir-limit-optimizer-dashboards")
    files = sorted((CHART / "files" / "dashboards").glob("*.json"))

    assert len(files) == len(found["data"]) > 0
    assert sum(map(len, found["data"].values())) < 1_000_000
    for file in files:
        shown = helm_python.values_from_yaml(found["data"][f"mimir-limit-optimizer-{file.name}"])
        assert shown == values_of(file)


def test_the_notes_name_the_config_map_to_make_and_the_way_out_of_the_dry_run() -> None:
    dry = render().notes
    prod = render(given("controller.mode=prod,mimir.namespace=mimir,mimir.configMapName=l")).notes

    assert "--set controller.mode=prod" in dry
    assert "kubectl -n mimir create configmap l --from-literal=overrides.yaml=" in prod


def test_another_release_has_names_of_its_own() -> None:
    found = render(release="second")

    assert found.one("Deployment")["metadata"]["name"] == "second-mimir-limit-optimizer"


def test_an_ingress_without_a_name_is_refused() -> None:
    with pytest.raises(helm_python.HelmError, match=r"ingress\.host is missing"):
        render(given("ingress.enabled=true"))


def test_a_preset_and_values_of_ones_own_are_merged(tmp_path: Path) -> None:
    preset = values_of(CHART / "presets" / "production.yaml")
    settings = settings_in(render(merged(preset, given("controller.logLevel=debug"))), tmp_path)

    assert settings.log_level == "debug"
    assert settings.circuit_breaker.auto_config.safety_margins.default_margin == 30
