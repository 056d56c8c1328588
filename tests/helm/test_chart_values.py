"""Every value that is promised reaches the settings of the pod; what is unknown is refused."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import helm_python
import pytest

from helm.generate import MOVED, texts
from policy.settings import Settings, parse_settings
from policy.settings.masking import MASK
from policy.settings.schema import leaf_keys, shapes
from tests.helm.rendering import (
    CHART,
    ROOT,
    Object,
    chart,
    given,
    merged,
    mounted,
    render,
    settings_of,
    values_of,
    written_by,
)

PAGE = (ROOT / "docs" / "chart.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIXTURES = ROOT / "tests" / "fixtures"
PROMISED = re.findall(r"^\| `([\w.-]+=[^`]*)` \| (.+) \|$", PAGE, flags=re.MULTILINE)
SPOKEN_OF = (FIXTURES / "chart" / "sets.txt").read_text(encoding="utf-8").splitlines()
HELM = [
    line.strip()
    for page in PAGES
    for line in page.read_text(encoding="utf-8").splitlines()
    if re.match(r" *helm (install|upgrade) ", line)
]
# Whole configurations, and parts of some.
CONFIGURATIONS = sorted((FIXTURES / "settings").glob("*.yaml"))


def value_at(settings: Settings, key: str) -> str:
    """What the settings show under a dotted key, as text; tenants here have no dots."""
    held: Any = settings.masked()
    for part in key.split("."):
        held = held[part]
    if isinstance(held, bool):
        return str(held).lower()
    return f"{held:.12g}" if isinstance(held, float) else str(held)


@pytest.mark.parametrize(("expression", "becomes"), PROMISED, ids=[told[0] for told in PROMISED])
def test_a_set_becomes_what_the_page_says(expression: str, becomes: str, tmp_path: Path) -> None:
    found = render(given(expression))
    settings = settings_of(found, tmp_path / "settings")

    if image := re.fullmatch(r"image `(.+)`", becomes):
        assert found.container()["image"] == image[1]
    elif secret := re.fullmatch(r"`(.+)`, in the Secret", becomes):
        value = expression.partition("=")[2]
        assert list(found.one("Secret")["stringData"].values()) == [value]
        assert value not in str(found.all("ConfigMap"))
        assert value_at(settings, secret[1]) == MASK
    else:
        key, value = becomes.strip("`").split(": ")
        assert value_at(settings, key) == value
        assert written_by(found, tmp_path / "settings")[key].endswith("config.yaml")


def test_the_page_has_every_set_that_was_ever_spoken_of() -> None:
    assert [told for told in SPOKEN_OF if told not in dict(PROMISED)] == []


@pytest.mark.parametrize("line", HELM)
def test_a_command_that_a_page_shows_can_be_typed(line: str) -> None:
    words = shlex.split(line)
    values: Object = {}
    for option, told in pairwise(words):
        if option == "-f":
            values = merged(values, values_of(ROOT / told))
        elif option == "--set":
            values = merged(values, given(told))

    assert (ROOT / words[3]).resolve() == CHART
    assert render(values).one("Deployment")


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_a_configuration_is_a_file_of_values_too(file: Path, tmp_path: Path) -> None:
    """With the defaults of the chart where it says nothing else."""
    tree = values_of(file)
    found = settings_of(render(tree), tmp_path)
    meant = parse_settings(tree)

    differ = {
        name for name in Settings.model_fields if getattr(found, name) != getattr(meant, name)
    }
    assert differ <= {"publish", "server", "metrics_discovery"}


@pytest.mark.parametrize("name", ["custom-values", "production-values"])
def test_a_file_of_values_reaches_the_settings_and_the_pod(name: str, tmp_path: Path) -> None:
    values = values_of(FIXTURES / "chart" / f"{name}.yaml")
    found = render(values)
    settings = settings_of(found, tmp_path)

    told = values["controller"]
    assert settings.mode == told["mode"]
    assert settings.buffer_percentage == told["bufferPercentage"]
    assert value_at(settings, "updateInterval") == told["updateInterval"]
    assert settings.metrics_discovery.namespace == values["mimir"]["namespace"]
    assert list(settings.tenant_scoping.skip_list) == values["tenantScoping"]["skipList"]
    assert settings.event_spike.threshold == values["eventSpike"]["threshold"]
    assert found.container()["resources"] == values["resources"]
    assert len(found.all("StatefulSet")) == values.get("replicaCount", 1) - 1


@pytest.mark.parametrize(
    "expression",
    [
        "contoller.mode=prod",
        "controller.modus=prod",
        "controller.namespace=mimir",
        "image.name=x",
        "replicaCount=two",
        "costControl.autoLimitReductions=true",
        "circuitBreaker.autoConfig.safetyMargins.margin=3",
        "alerting.slack.hook=x",
        "alerting.webhooks.a.adress=x",
        "persistence.sice=1Gi",
        "costControl.enabled=ture",
    ],
)
def test_what_is_no_value_is_refused(expression: str) -> None:
    with pytest.raises(helm_python.HelmError, match="values don't meet the specifications"):
        render(given(expression))


def test_a_setting_in_two_places_is_refused() -> None:
    with pytest.raises(helm_python.HelmError, match=r"controller\.mode and mode are one setting"):
        render(given("controller.mode=prod,mode=dry-run"))
    with pytest.raises(helm_python.HelmError, match="written twice"):
        render(given("controller.reconcileInterval=1m,controller.updateInterval=2m"))


def test_what_the_chart_knows_of_the_settings_is_as_make_chart_writes_it() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in texts()} == texts()


def test_every_setting_is_a_value() -> None:
    """By the schema alone, so each key is looked up and none is rendered."""
    schema = chart().schema
    assert schema is not None

    def held(key: str) -> Any:  # noqa: ANN401 - JSON
        found: Any = schema
        for part in key.split("."):
            while "$ref" in found:
                found = schema["definitions"][found["$ref"].rpartition("/")[2]]
            if part == "*":
                found = found.get("items") or found["additionalProperties"]
            else:
                found = found["properties"][part]
        return found

    # An action of a panic may be written in any shape.
    keys = [key for key in leaf_keys(Settings) if ".actions." not in key and "actions.*" not in key]
    assert len(keys) > 200
    assert all(held(key) for key in keys)
    assert set(shapes(Settings)) <= set(schema["properties"])


def test_what_a_section_moves_elsewhere_is_taken_where_it_is_written() -> None:
    """The list of the generator names keys that the sections themselves would refuse."""
    for section, keys in MOVED.items():
        assert not set(keys) & set(shapes(section))


def test_a_secret_of_ones_own_wins_and_a_patch_of_the_config_map_wins_over_all(
    tmp_path: Path,
) -> None:
    found = render(given("existingSecret=mine,server.viewerToken=of-the-values-012345"))
    key = "server.viewerToken"
    one = settings_of(found, tmp_path / "one", **{key: "of-their-secret-01234"})
    found.one("ConfigMap")["data"] |= {key: "of-the-patch-0123456789", "mode": "prod"}
    other = settings_of(found, tmp_path / "other", **{key: "of-their-secret-01234"})

    assert one.server.viewer_token is not None
    assert one.server.viewer_token.get_secret_value() == "of-their-secret-01234"
    assert other.server.viewer_token is not None
    assert other.server.viewer_token.get_secret_value() == "of-the-patch-0123456789"
    assert other.mode == "prod"


def test_large_numbers_and_names_with_dots_arrive_as_they_are(tmp_path: Path) -> None:
    values: Object = {
        "limits": {"maxLimits": {"ingestion_rate": 123456789}},
        "tenantTierMapping": {"team.a-*": "gold"},
        "costControl": {"costPerUnit": 0.0000001},
    }
    values["limits"]["tenantTiers"] = {"gold": {"bufferPercentage": 30}}
    settings = settings_of(render(values), tmp_path)

    assert settings.limits.max_limits == {"ingestion_rate": 123456789}
    assert settings.tenant_tier_mapping == {"team.a-*": "gold"}
    assert settings.cost_control.cost_per_unit * 10_000_000 == 1


def test_a_secret_whose_name_no_secret_can_have_is_refused() -> None:
    wrong = {"alerting": {"webhooks": {"on call": {"url": "https://hooks.example/a"}}}}

    with pytest.raises(helm_python.HelmError, match="give the entry another name"):
        render(wrong)


def test_without_secrets_there_is_no_secret(tmp_path: Path) -> None:
    found = render()

    assert found.all("Secret") == []
    assert [file.name for file in mounted(found, tmp_path).iterdir()] == ["config.yaml"]
