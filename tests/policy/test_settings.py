from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from policy.settings import Settings, SettingsError, parse_settings
from policy.settings.demand import hours_of
from policy.settings.schema import leaf_keys

EXAMPLES = sorted((Path(__file__).parents[1] / "fixtures" / "settings").glob("*.yaml"))


def read(example: str) -> Mapping[str, object]:
    path = next(path for path in EXAMPLES if path.stem == example)
    tree: Mapping[str, object] = YAML(typ="safe", pure=True).load(path)
    return tree


def faults(tree: Mapping[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        parse_settings(tree)
    return str(refusal.value).splitlines()


@pytest.mark.parametrize("example", [path.stem for path in EXAMPLES])
def test_every_example_of_the_specification_is_accepted(example: str) -> None:
    parse_settings(read(example))


@pytest.mark.parametrize("example", [path.stem for path in EXAMPLES if "alert" not in path.stem])
def test_what_is_shown_reads_back_as_the_same_settings(example: str) -> None:
    """
    Secrets aside, `masked` loses nothing: showing and reading again changes no value.
    """
    settings = parse_settings(read(example))
    settings = settings.model_copy(update={"alerting": Settings().alerting})

    again = parse_settings(settings.masked())

    assert again == settings


def test_nothing_written_means_a_dry_run_that_listens_on_this_machine_only() -> None:
    settings = parse_settings({})

    assert settings == Settings()
    assert settings.mode == "dry-run"
    assert settings.server.host == "127.0.0.1"
    assert settings.limits.max_limits == {}


def test_our_own_keys_default_to_what_their_example_shows() -> None:
    assert parse_settings(read("own-keys")) == Settings()


def test_the_full_example_arrives_in_the_attributes() -> None:
    settings = parse_settings(read("full"))

    assert settings.buffer_percentage == 20
    assert settings.update_interval == timedelta(minutes=5)
    assert settings.cost_control.cost_per_unit == Decimal("0.001")
    assert settings.cost_control.global_budget.annual == Decimal(365_000)
    assert settings.limits.max_limits["max_global_series_per_user"] == 10_000_000
    assert settings.limits.tenant_tiers["enterprise"].limits["ingestion_rate"] == 500_000
    assert settings.tenant_scoping.skip_list == ("internal-*", "staging-*")
    assert settings.trend_analysis.time_of_day_buffers == {"9-17": 1.5, "0-8": 0.8}
    assert settings.performance.cache.size_mb == 256


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.mode = "prod"  # type: ignore[misc]


@pytest.mark.parametrize("key", ["webhook", "webhookURL", "webhook_url", "webhookUrl"])
def test_every_spelling_of_the_slack_address_is_one_key(key: str) -> None:
    settings = parse_settings({"alerting": {"slack": {key: "https://hooks.example/x"}}})

    address = settings.alerting.slack.webhook_url
    assert address is not None
    assert address.get_secret_value() == "https://hooks.example/x"


def test_flags_written_beside_their_place_are_moved_to_it() -> None:
    """
    `thresholds.ingestionMultiplier`, a margin as a share, `autoConfiguration.mode` and a switch
    among the tenants each have one canonical place.
    """
    breaker = parse_settings(read("breaker-flags")).circuit_breaker

    assert breaker.mode == "auto"
    assert breaker.auto_config.enabled
    assert breaker.auto_config.limit_multipliers.ingestion_rate_multiplier == 1.2
    assert breaker.auto_config.limit_multipliers.query_rate_multiplier == 1.5
    assert breaker.auto_config.safety_margins.default_margin == 20
    assert breaker.per_tenant_enabled
    assert breaker.per_tenant_config == {}


def test_a_moved_flag_that_is_also_written_in_its_place_is_refused() -> None:
    tree = {
        "circuitBreaker": {
            "thresholds": {"ingestionMultiplier": 1.2},
            "autoConfig": {"limitMultipliers": {"ingestionRateMultiplier": 1.5}},
        }
    }

    (line,) = faults(tree)

    assert line.startswith("circuitBreaker.thresholds.ingestionMultiplier: unknown key")


def test_panic_actions_may_be_names_or_maps_of_one_key() -> None:
    named = parse_settings(read("full")).emergency.panic_mode.actions
    mapped = parse_settings(read("panic-actions")).emergency.panic_mode.actions

    assert [action.name for action in named] == ["reduce_limits", "throttle_ingestion", "alert"]
    assert [(action.name, action.percent) for action in mapped] == [
        ("reduce_limits", 50),
        ("throttle_ingestion", 80),
        ("disable_queries", None),
        ("force_gc", None),
        ("circuit_breaker", None),
    ]


def test_a_lone_webhook_is_an_entry_among_webhooks() -> None:
    assert parse_settings(read("multi-tenant")).alerting.webhooks["default"].enabled


def test_an_immediate_escalation_waits_for_nothing() -> None:
    first, second = parse_settings(read("alerting-routing")).alerting.routing

    assert first.escalation == timedelta(0)
    assert second.escalation == timedelta(minutes=15)


def test_a_key_without_a_value_counts_as_not_written() -> None:
    settings = parse_settings({"alerting": None, "tenantScoping": {"skipList": None}})

    assert settings == Settings()


@pytest.mark.parametrize("text", ["prod", "production", "PROD"])
def test_production_may_be_spelled_out(text: str) -> None:
    assert parse_settings({"mode": text}).mode == "prod"


def test_any_other_mode_is_refused_not_taken_for_production() -> None:
    assert faults({"mode": "live"}) == ["mode: must be 'dry-run' or 'prod'"]


def test_hours_wrap_around_midnight() -> None:
    assert hours_of("22-1") == {22, 23, 0, 1}


def test_every_fault_is_one_line_with_its_full_key() -> None:
    lines = faults(
        {
            "circuitBreaker": {"failureTreshold": 50, "rateLimit": {"burstCapacity": "many"}},
            "protectInterval": 15,
            "alerting": {"routing": [{"channels": ["pager"]}]},
            "limits": {"tenantTiers": {"gold": {"bufferPercentage": 140}}},
        }
    )

    assert lines == [
        "alerting.routing[0].channels: 'pager' is no channel and no entry of webhooks or apprise",
        "circuitBreaker.failureTreshold: unknown key; did you mean failureThreshold?",
        "circuitBreaker.rateLimit.burstCapacity: must be a whole number",
        "limits.tenantTiers.gold.bufferPercentage: must be at most 100",
        "protectInterval: 15 has no unit; write it like 15s",
    ]


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"serverr": {}}, "serverr: unknown key; did you mean server?"),
        (
            {"server": {"Zq": 1}},
            (
                "server.Zq: unknown key; known here: host, port, viewerToken, operatorToken, "
                "tenantMetrics"
            ),
        ),
        ({"server": []}, "server: must be a map of keys and values"),
        ({"server": {"port": 70_000}}, "server.port: must be at most 65535"),
        ({"server": {"host": ""}}, "server.host: must not be empty"),
        ({"updateInterval": "0s"}, "updateInterval: must be at least 1s"),
        ({"mimir": {"timeout": "0s"}}, "mimir.timeout: must be longer than 0s"),
        ({"mimir": {"endpoints": []}}, "mimir.endpoints: must not be empty"),
        (
            {"mimir": {"endpoints": ["mimir:80"]}},
            "mimir.endpoints[0]: is not an address; write it like http://mimir:8080",
        ),
        ({"bufferPercentage": -1}, "bufferPercentage: must be at least 0"),
        ({"bufferPercentage": ".nan"}, "bufferPercentage: must be a number"),
        ({"bufferPercentage": float("inf")}, "bufferPercentage: must be a finite number"),
        (
            {"limits": {"minLimits": {"ingestion_rate": 9}, "maxLimits": {"ingestion_rate": 5}}},
            "limits.minLimits.ingestion_rate: 9 is above maxLimits.ingestion_rate 5",
        ),
        (
            {"limits": {"maxLimits": {"ingestion_rate": 5}}},
            (
                "limits.minLimits.ingestion_rate: 1000 (its default) is above "
                "maxLimits.ingestion_rate 5"
            ),
        ),
        (
            {"limits": {"maxLimits": {"max_series": 1, "max_global_series_per_user": 2}}},
            (
                "limits.maxLimits.max_series: names max_global_series_per_user, "
                "which is written too; keep one"
            ),
        ),
        (
            {"limits": {"maxLimits": {"ingestion_rate": True}}},
            "limits.maxLimits.ingestion_rate: must not be true or false",
        ),
        (
            {"limits": {"enabled": ["max_series"], "disabled": ["max_global_series_per_user"]}},
            "limits.disabled: max_global_series_per_user is in limits.enabled too; keep one",
        ),
        (
            {"limits": {"tenantTiers": {"gold": {}}}, "tenantTierMapping": {"a": "golf"}},
            "tenantTierMapping.a: 'golf' is no tier of limits.tenantTiers; did you mean gold?",
        ),
        (
            {"trendAnalysis": {"analysisWindow": "12h"}},
            "trendAnalysis.minHistory: 24h never fits into analysisWindow 12h; lower it",
        ),
        (
            {"trendAnalysis": {"timeOfDayBuffers": {"9-17": 1, "17-20": 1}}},
            "trendAnalysis.timeOfDayBuffers.17-20: overlaps 9-17",
        ),
        (
            {"trendAnalysis": {"timeOfDayBuffers": {"9-24": 1}}},
            "trendAnalysis.timeOfDayBuffers.9-24: is not a span of hours; write it like 9-17",
        ),
        (
            {"eventSpike": {"threshold": 6}},
            "eventSpike.maxSpikeMultiplier: must not be below threshold 6",
        ),
        (
            {"tenantScoping": {"useRegex": True, "skipList": ["("]}},
            (
                "tenantScoping.skipList[0]: '(' is no regular expression: missing ), "
                "unterminated subpattern at position 0"
            ),
        ),
        (
            {"costControl": {"globalBudget": {"daily": 9, "monthly": 8}}},
            "costControl.globalBudget.monthly: 8 is below daily 9",
        ),
        ({"costControl": {"costPerUnit": -1}}, "costControl.costPerUnit: must be at least 0"),
        (
            {"costControl": {"alertThresholds": [90, 50]}},
            "costControl.alertThresholds: must rise from each to the next",
        ),
        (
            {"costControl": {"tenantBudgets": {42: {}}}},
            "costControl.tenantBudgets: the name 42 is not text; quote it",
        ),
        (
            {"emergency": {"recovery": {"cpuThreshold": 95}}},
            "emergency.recovery.cpuThreshold: 95 must be below panicMode's 90",
        ),
        (
            {"emergency": {"panicMode": {"actions": [{"force_gc": "50%"}]}}},
            "emergency.panicMode.actions[0].enabled: must be true or false",
        ),
        (
            {"alerting": {"slack": {"webhook": "a", "webhook_url": "b"}}},
            "alerting.slack: webhook and webhook_url are one key written twice; keep one",
        ),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_a_fault_says_what_is_wrong_and_where(tree: Mapping[str, object], line: str) -> None:
    assert faults(tree) == [line]


LEAVES = sorted(leaf_keys(Settings))
SCALARS = [None, True, 0, 1, -1, 5.5, 1e300, float("inf"), float("nan")]
TEXTS = ["", "5m", "50%", "x", "prod", "9-17", "http://x", "["]
SHAPES = [[], ["x"], [None], [[]], [{}], [{"x": 1}], {}, {"x": 1}, {"x": {}}, {1: 2}]


def planted(values: Mapping[str, object]) -> dict[str, object]:
    """The tree that holds each value at its dotted key; `*` is the name x."""
    tree: dict[str, object] = {}
    for key, value in values.items():
        *above, last = key.replace("*", "x").split(".")
        held = tree
        for step in above:
            held = held.setdefault(step, {})  # type: ignore[assignment]
        held[last] = value
    return tree


@given(st.dictionaries(st.sampled_from(LEAVES), st.sampled_from([*SCALARS, *TEXTS, *SHAPES])))
def test_whatever_is_written_is_settings_or_a_list_of_faults(
    values: Mapping[str, object],
) -> None:
    """
    No value at any key ends in another error, and what is accepted can be shown and read back.
    """
    try:
        shown = parse_settings(planted(values)).masked()
    except SettingsError:
        return

    assert parse_settings(shown).masked() == shown


SECRET = "hunter2-do-not-print"


@pytest.mark.parametrize(
    "tree",
    [
        {"alerting": {"slack": {"webhookURL": [SECRET]}}},
        {"alerting": {"slack": SECRET}},
        {"alerting": {"email": {"password": {"a": SECRET}}}},
        {"alerting": {"email": {"pasword": SECRET}}},
        {"alerting": {"webhooks": {"x": {"headers": SECRET}}}},
        {"mimir": {"headers": {"Authorization": [SECRET]}}},
        {"mimir": {"endpoints": [f"http://user:{SECRET}@mimir"]}},
        {"mimir": {"endpoints": [f"http://[{SECRET}"]}},
        {"alerting": {"slack": {"webhook": SECRET, "webhook_url": SECRET}}},
    ],
)
def test_a_refusal_never_repeats_what_may_be_secret(tree: Mapping[str, object]) -> None:
    with pytest.raises(SettingsError) as refusal:
        parse_settings(tree)

    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


def test_settings_that_are_shown_hide_every_secret() -> None:
    settings = parse_settings(
        {
            "mimir": {"headers": {"Authorization": SECRET}},
            "alerting": {
                "slack": {"webhook": SECRET},
                "pagerduty": {"integrationKey": SECRET},
                "email": {"password": SECRET},
                "webhooks": {"x": {"url": SECRET, "headers": {"X-Key": SECRET}}},
            },
        }
    )

    shown = settings.masked()

    assert SECRET not in f"{shown} {settings!r} {settings}"
    assert str(shown).count("********") == 6
