"""What an operator may say of a single limit, and what is refused with the way out."""

from __future__ import annotations

import pytest

from policy.catalogue import known_in, limits
from policy.settings import Settings, SettingsError, parse_settings
from policy.tuned import catalogue_of, tuned

NEW = {"type": "int", "unit": "series", "zero": "unlimited", "default": 1_000_000}


def defined(**definitions: object) -> Settings:
    return parse_settings({"limits": {"definitions": definitions}})


def refusals(**limits_tree: object) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parse_settings({"limits": limits_tree})
    return [str(problem) for problem in refused.value.problems]


def test_what_a_definition_does_not_say_is_as_in_the_catalogue() -> None:
    catalogue = catalogue_of(defined(max_series={"bufferPercentage": 30}).limits)

    assert catalogue == limits()


def test_a_definition_overrides_class_signal_and_default() -> None:
    said = {"class": "guarded", "signal": "active_series", "default": 5}

    found = catalogue_of(defined(max_series=said).limits)["max_global_series_per_user"]

    assert (found.automation, found.signal, found.default) == ("guarded", "active_series", 5)
    assert found.unit == limits()["max_global_series_per_user"].unit


def test_a_full_definition_adds_a_limit_that_only_its_releases_know() -> None:
    settings = defined(max_new_things={**NEW, "signal": "active_series", "since": "3.4"})

    catalogue = catalogue_of(settings.limits)

    assert catalogue["max_new_things"].zero_is_unlimited
    assert list(catalogue) == sorted(catalogue)
    assert "max_new_things" in known_in("3.4.0", catalogue=catalogue)
    assert "max_new_things" not in known_in("3.3.9", catalogue=catalogue)
    assert known_in("3.3.9", catalogue=catalogue) == known_in("3.3.9")


def test_without_since_a_new_limit_is_written_to_no_version_that_was_read() -> None:
    catalogue = catalogue_of(defined(max_new_things=NEW).limits)

    assert "max_new_things" not in known_in("3.3.0", catalogue=catalogue)
    assert "max_new_things" in known_in("3.4.0", catalogue=catalogue)


@pytest.mark.parametrize(
    ("zero", "unlimited", "blocks"),
    [
        ("unlimited", True, False),
        ("blocks", False, True),
        ("off", False, False),
    ],
)
def test_the_zero_of_a_new_limit_means_what_was_said(
    zero: str,
    unlimited: object,
    blocks: object,
) -> None:
    found = catalogue_of(defined(max_new_things={**NEW, "zero": zero}).limits)["max_new_things"]

    assert (found.zero_is_unlimited, found.zero_blocks) == (unlimited, blocks)


def test_an_unknown_limit_is_refused_with_the_nearest_and_what_would_add_it() -> None:
    assert refusals(definitions={"max_global_series_per_usr": {"min": 5}}) == [
        (
            "limits.definitions.max_global_series_per_usr: is no limit that Mimir is known to "
            "have; did you mean max_global_series_per_user? To add it, say its type, unit, "
            "zero, default"
        )
    ]


@pytest.mark.parametrize("key", ["enabled", "disabled"])
def test_a_list_with_an_unknown_limit_is_refused(key: str) -> None:
    assert refusals(**{key: ["ingestion_rat"]}) == [
        (
            f"limits.{key}.ingestion_rat: is no limit that Mimir is known to have; "
            "did you mean ingestion_rate?"
        )
    ]


def test_a_tier_may_hold_no_limit_that_is_unknown() -> None:
    """Mimir would refuse the whole file for it."""
    tiers = {"gold": {"limits": {"max_new_things": 1}}}

    assert refusals(tenantTiers=tiers)[0].startswith(
        "limits.tenantTiers.gold.limits.max_new_things: is no limit that Mimir is known to have"
    )
    parse_settings({"limits": {"tenantTiers": tiers, "definitions": {"max_new_things": NEW}}})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "compactor_blocks_retention_period",
            "deletes data when it is wrong, so it is never sized",
        ),
        ("ha_tracker_update_timeout", "is for people to set (class manual), so it is never sized"),
        ("max_query_lookback", "is a duration and no number, so it cannot be sized"),
        (
            "max_label_names_per_series",
            "so it cannot be sized; name a signal in limits.definitions",
        ),
    ],
)
def test_what_is_never_sized_is_refused_with_the_reason(name: str, why: str) -> None:
    (listed,) = refusals(enabled=[name])
    (said,) = refusals(definitions={name: {"enabled": True}})

    assert listed.startswith(f"limits.enabled.{name}: ")
    assert said.startswith(f"limits.definitions.{name}.enabled: ")
    assert why in listed
    assert why in said


def test_a_destructive_limit_stays_destructive() -> None:
    name = "compactor_blocks_retention_period"

    assert refusals(definitions={name: {"class": "auto"}}) == [
        f"limits.definitions.{name}.class: {name} deletes data and stays destructive"
    ]


def test_what_mimir_says_of_its_own_limits_cannot_be_said_otherwise() -> None:
    assert refusals(definitions={"ingestion_rate": {"type": "int"}}) == [
        (
            "limits.definitions.ingestion_rate.type: is what Mimir says of ingestion_rate; it can "
            "be said only of an unknown limit"
        )
    ]


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        (
            {"signal": "active_serie"},
            "signal: active_serie is no signal that is measured; did you mean active_series?",
        ),
        ({"min": 7, "max": 5}, "min: 7 is above max 5"),
        ({"since": "soon"}, "since: is no release; write it in quotes, like '3.4'"),
        ({"clas": "auto"}, "clas: unknown key; did you mean class?"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(definition: dict[str, object], fault: str) -> None:
    assert refusals(definitions={"ingestion_rate": definition}) == [
        f"limits.definitions.ingestion_rate.{fault}"
    ]


@pytest.mark.parametrize(
    ("said", "other", "fault"),
    [
        (True, "disabled", "is true, and limits.disabled names it; keep one"),
        (False, "enabled", "is false, and limits.enabled names it; keep one"),
    ],
)
def test_two_words_about_one_limit_are_refused(said: object, other: str, fault: str) -> None:
    tree = {"definitions": {"ingestion_rate": {"enabled": said}}, other: ["ingestion_rate"]}

    assert refusals(**tree) == [f"limits.definitions.ingestion_rate.enabled: {fault}"]


def test_a_manual_limit_may_be_given_another_class_and_a_signal() -> None:
    """An operator who names both knows what the limit follows."""
    name = "active_series_results_max_size_bytes"
    said = {"class": "auto", "signal": "active_series"}

    assert limits()[name].automation == "manual"
    assert tuned(defined(**{name: said}).limits)[name] == "active_series"
