import logging
from pathlib import Path
from threading import Thread

import pytest

from policy.errors import ConfigError
from policy.settings import Settings, SettingsError
from tasks.settings import SettingsSource, load_settings, origins

SECRET = "hunter2-do-not-print"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None, **environ: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(path, environ=environ)
    return str(raised.value)


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings(None, environ={}) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_means_the_defaults(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "config.yaml", text)

    assert load_settings(path, environ={}) == Settings()


def test_stronger_sources_win_key_by_key(tmp_path: Path) -> None:
    """
    File, then dotted files, then the environment's own names, then MLO_, then overrides.
    """
    keys = ("server.port", "prefect.port", "bufferPercentage", "mimir.namespace", "mode")
    write(
        tmp_path / "config.yaml",
        "server: {port: 1, host: a}\nprefect: {port: 1}\nbufferPercentage: 1\n"
        "mimir: {namespace: one}\n",
    )
    write(tmp_path / "prefect.port", "2\n")
    write(tmp_path / "bufferPercentage", "2\n")
    write(tmp_path / "mimir.namespace", "two\n")
    environ = {"BUFFER_PERCENTAGE": "3", "MIMIR_NAMESPACE": "three", "MLO_MIMIR__NAMESPACE": "four"}

    settings = load_settings(tmp_path, environ=environ, overrides={"mode": "prod"})
    origin = origins(tmp_path, environ=environ, overrides={"mode": "prod"})

    assert settings.server.port == 1
    assert settings.server.host == "a"
    assert settings.prefect.port == 2
    assert settings.buffer_percentage == 3
    assert settings.mimir.namespace == "four"
    assert settings.mode == "prod"
    assert [origin[key] for key in keys] == [
        str(tmp_path / "config.yaml"),
        str(tmp_path / "prefect.port"),
        "environment BUFFER_PERCENTAGE",
        "environment MLO_MIMIR__NAMESPACE",
        "override",
    ]
    assert "costInterval" not in origin


def test_sources_meet_in_one_key_however_each_spells_it(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "circuitBreaker: {autoConfiguration: {enabled: true}}\n")
    environ = {"MLO_CIRCUIT_BREAKER__AUTO_CONFIG__ENABLED": "false"}

    settings = load_settings(path, environ=environ)

    assert not settings.circuit_breaker.auto_config.enabled


def test_a_limit_meets_itself_under_another_name(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "limits: {maxLimits: {max_series: 20000}}\n")
    environ = {"MLO_LIMITS__MAX_LIMITS__MAX_GLOBAL_SERIES_PER_USER": "30000"}

    settings = load_settings(path, environ=environ)

    assert settings.limits.max_limits == {"max_global_series_per_user": 30_000}


def test_the_environment_s_own_names_set_their_keys() -> None:
    settings = load_settings(
        None,
        environ={
            "MODE": "prod",
            "MIMIR_NAMESPACE": "monitoring",
            "MIMIR_CONFIGMAP_NAME": "overrides",
            "UPDATE_INTERVAL": "2m",
            "BUFFER_PERCENTAGE": "35",
        },
    )

    assert (
        settings.masked().items()
        >= {
            "mode": "prod",
            "updateInterval": "2m",
            "bufferPercentage": 35.0,
        }.items()
    )
    assert settings.mimir.namespace == "monitoring"
    assert settings.mimir.config_map_name == "overrides"


def test_lists_and_maps_come_through_the_environment() -> None:
    settings = load_settings(
        None,
        environ={
            "MLO_TENANT_SCOPING__SKIP_LIST": "internal-*, test-*",
            "MLO_TENANT_SCOPING__INCLUDE_LIST": '["a,b"]',
            "MLO_LIMITS__MAX_LIMITS": "{ingestion_rate: 5e6}",
            "MLO_LIMITS__MIN_LIMITS__MAX_SERIES": "7",
            "MLO_COST_CONTROL__TENANT_BUDGETS__Acme__DAILY": "3.50",
        },
    )

    assert settings.tenant_scoping.skip_list == ("internal-*", "test-*")
    assert settings.tenant_scoping.include_list == ("a,b",)
    assert settings.limits.max_limits == {"ingestion_rate": 5_000_000}
    assert settings.limits.min_limits == {"max_global_series_per_user": 7}
    assert str(settings.cost_control.tenant_budgets["Acme"].daily) == "3.50"


def test_a_secret_comes_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    secret = write(tmp_path / "token", f"{SECRET}\n")

    settings = load_settings(
        None,
        environ={
            "MLO_ALERTING__SLACK__WEBHOOK_URL_FILE": str(secret),
            "MLO_MIMIR__HEADERS__AUTHORIZATION_FILE": str(secret),
        },
    )

    assert settings.alerting.slack.webhook_url is not None
    assert settings.alerting.slack.webhook_url.get_secret_value() == SECRET
    assert settings.mimir.headers["authorization"].get_secret_value() == SECRET


def test_a_key_that_ends_in_file_is_not_taken_for_a_file_name() -> None:
    settings = load_settings(None, environ={"MLO_PUBLISH__FILE__PATH": "a/b.yaml"})

    assert settings.publish.file.path == Path("a/b.yaml")


def test_what_kubernetes_puts_beside_a_service_of_our_name_is_not_ours() -> None:
    """
    A Service called `mlo` puts variables into every pod of its namespace.
    """
    environ = {
        "MLO_SERVICE_HOST": "10.0.0.1",
        "MLO_SERVICE_PORT": "80",
        "MLO_SERVICE_PORT_HTTP": "80",
        "MLO_PORT": "tcp://10.0.0.1:80",
        "MLO_PORT_80_TCP": "tcp://10.0.0.1:80",
        "MLO_PORT_80_TCP_ADDR": "10.0.0.1",
        "MLO_CONFIG": "config.yaml",
        "MLO_MODE": "",
        "PATH": "/bin",
    }

    assert load_settings(None, environ=environ) == Settings()


def test_a_mounted_config_map_is_read_without_kubernetes_own_entries(tmp_path: Path) -> None:
    write(tmp_path / "..2026_01_01" / "config.yaml", "mode: prod\n")
    write(tmp_path / "..2026_01_01" / "circuitBreaker.runtimeEnabled", "false")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    for name in ("config.yaml", "circuitBreaker.runtimeEnabled"):
        (tmp_path / name).symlink_to(f"..data/{name}")

    settings = load_settings(tmp_path, environ={})

    assert settings.mode == "prod"
    assert not settings.circuit_breaker.runtime_enabled


def test_a_dotted_key_reaches_a_tenant_whose_name_holds_dots() -> None:
    settings = load_settings(
        None,
        environ={},
        overrides={
            "circuitBreaker.perTenantConfig.a.b.thresholds.ingestion": 5,
            "tenantTierMapping.x.y": "gold",
            "limits.tenantTiers.gold": {"bufferPercentage": 1},
        },
    )

    breaker = settings.circuit_breaker.per_tenant_config["a.b"]
    assert breaker.thresholds.ingestion == 5
    assert settings.tenant_tier_mapping == {"x.y": "gold"}


def test_a_fault_names_where_its_key_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "server: {prot: 1}\nmode: live\n")

    lines = refusal(path, MLO_BUFFER_PERCENTAG="3", MODE="life").splitlines()

    assert lines == [
        (
            "buffer_percentag: unknown key; did you mean bufferPercentage? "
            "(in environment MLO_BUFFER_PERCENTAG)"
        ),
        "mode: must be 'dry-run' or 'prod' (in environment MODE)",
        f"server.prot: unknown key; did you mean port? (in {path}, line 1, column 16)",
    ]


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"

    assert refusal(path) == (
        f"{path}: there is no such file; name another, or none to run with the defaults"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mode: prod\nserver: {}\nmode: dry-run\n", " line 3: key mode is written twice; keep one"),
        ("mode: prod\n---\nmode: prod\n", " line 2: a second document begins; keep one"),
        ("- mode\n", ": must be a map of keys and values"),
        ("mode\n", ": must be a map of keys and values"),
    ],
)
def test_a_file_that_is_not_one_map_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = write(tmp_path / "config.yaml", text)

    assert refusal(path) == f"{path}{fault}"


@pytest.mark.parametrize(
    "text",
    [
        f"alerting:\n  slack:\n    webhook: {SECRET}\n    webhook: {SECRET}2\n",
        f"alerting:\n  email:\n    password: *{SECRET}\n",
        f"alerting:\n  email:\n    password: !{SECRET} x\n",
        f'alerting:\n  email:\n    password: "{SECRET}\n',
        f"alerting:\n  email:\n    password: {SECRET}: x: y\n",
    ],
    ids=["twice", "alias", "tag", "quote", "colon"],
)
def test_a_broken_file_is_refused_by_line_without_its_content(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "config.yaml", text)

    with pytest.raises(ConfigError) as raised:
        load_settings(path, environ={})

    assert f"{path} line " in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__context__ is None


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"mode: \xff\xfe")

    assert refusal(path) == f"{path}: is not text in UTF-8"


def test_a_change_of_the_file_is_seen_on_the_next_call(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "bufferPercentage: 1\n")
    source = SettingsSource(path, {})
    first = source.current()

    write(path, "bufferPercentage: 22\n")

    assert first.buffer_percentage == 1
    assert source.current().buffer_percentage == 22
    assert source.problem is None


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    source = SettingsSource(write(tmp_path / "config.yaml", "mode: prod\n"), {})

    assert source.current() is source.current()


def test_a_dotted_file_that_appears_takes_effect(tmp_path: Path) -> None:
    """
    The switch of the seed: a patched ConfigMap turns the breaker off without a restart.
    """
    write(tmp_path / "config.yaml", "mode: prod\n")
    source = SettingsSource(tmp_path, {})
    source.current()

    write(tmp_path / "circuitBreaker.runtimeEnabled", "false")

    assert not source.current().circuit_breaker.runtime_enabled


def test_a_rotated_secret_is_read_again(tmp_path: Path) -> None:
    token = write(tmp_path / "token", "old")
    source = SettingsSource(None, {"MLO_MIMIR__HEADERS__TOKEN_FILE": str(token)})
    source.current()

    write(token, "newer")

    assert source.current().mimir.headers["token"].get_secret_value() == "newer"


def test_a_broken_change_keeps_the_last_good_settings_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "config.yaml", "bufferPercentage: 30\n")
    source = SettingsSource(path, {})
    source.current()

    write(path, "bufferPercentage: lots\n")
    with caplog.at_level(logging.INFO, logger="tasks.settings"):
        kept = [source.current() for _ in range(3)]
        write(path, "bufferPercentage: lots\n# still\n")
        source.current()

    assert {settings.buffer_percentage for settings in kept} == {30}
    assert source.problem == f"bufferPercentage: must be a number (in {path}, line 1, column 19)"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_mended_file_takes_effect_and_clears_the_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "mode: prod\n")
    source = SettingsSource(path, {})
    source.current()
    write(path, "mode: [\n")
    source.current()

    write(path, "mode: dry-run\n")

    assert source.current().mode == "dry-run"
    assert source.problem is None


def test_a_file_that_vanishes_keeps_the_last_good_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "mode: prod\n")
    source = SettingsSource(path, {})
    source.current()

    path.unlink()

    assert source.current().mode == "prod"
    assert "there is no such file" in str(source.problem)


def test_settings_that_never_were_good_are_refused(tmp_path: Path) -> None:
    source = SettingsSource(write(tmp_path / "config.yaml", "mode: live\n"), {})

    with pytest.raises(SettingsError, match="mode: must be"):
        source.current()


def test_threads_that_ask_at_once_get_the_same_settings(tmp_path: Path) -> None:
    source = SettingsSource(write(tmp_path / "config.yaml", "mode: prod\n"), {})
    answers: list[Settings] = []
    threads = [Thread(target=lambda: answers.append(source.current())) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)

    assert len(answers) == 8
    assert len({id(answer) for answer in answers}) == 1
