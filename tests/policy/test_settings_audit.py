"""How much of the audit log is kept, and where, as an operator writes it."""

from __future__ import annotations

import pytest

from policy.settings import SettingsError, parse_settings

NAMES_OURS = {"storageType": "configmap", "configMap": {"name": "mimir-runtime-overrides"}}


def test_the_defaults_keep_the_audit_in_the_history_alone() -> None:
    assert parse_settings({}).masked()["auditLog"] == {
        "enabled": True,
        "storageType": "duckdb",
        "configMap": {"name": "mimir-limit-optimizer-audit"},
        "maxEntries": 100_000,
        "maxAge": "9600h",
        "maxSize": "100MiB",
        "emergencyThreshold": 120.0,
    }


@pytest.mark.parametrize(
    ("written", "size", "shown"),
    [
        ("50MiB", 50 * 1024**2, "50MiB"),
        ("2 GiB", 2 * 1024**3, "2GiB"),
        ("1.5MB", 1_500_000, "1500000B"),
        ("1536KiB", 1536 * 1024, "1536KiB"),
    ],
)
def test_a_size_is_read_and_shown_so_that_it_reads_back(
    written: str, size: int, shown: str
) -> None:
    settings = parse_settings({"auditLog": {"maxSize": written}})

    assert settings.audit_log.max_size == size
    audit = settings.masked()["auditLog"]
    assert isinstance(audit, dict)
    assert audit["maxSize"] == shown
    assert parse_settings({"auditLog": {"maxSize": shown}}) == settings


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({"maxSize": 104857600}, "maxSize: '104857600' is not a size; write it like 100MiB"),
        ({"maxSize": "much"}, "maxSize: 'much' is not a size; write it like 100MiB"),
        ({"maxSize": "1000KiB"}, "maxSize: must be at least 1MiB"),
        ({"maxEntries": 0}, "maxEntries: must be at least 1"),
        ({"maxAge": "0s"}, "maxAge: must be longer than 0s"),
        ({"emergencyThreshold": "90%"}, "emergencyThreshold: must be at least 100"),
        ({"storageType": "external"}, "storageType: must be 'duckdb', 'memory' or 'configmap'"),
        ({"configMap": {"name": "No_Name"}}, "configMap.name: must match"),
        (NAMES_OURS, "configMap.name: mimir-runtime-overrides is the one of mimir.configMapName"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(tree: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError) as told:
        parse_settings({"auditLog": tree})

    assert str(told.value).startswith(f"auditLog.{fault}")
    assert "\n" not in str(told.value)


def test_the_same_name_matters_only_where_it_is_written_to() -> None:
    assert parse_settings({"auditLog": {**NAMES_OURS, "storageType": "duckdb"}})
