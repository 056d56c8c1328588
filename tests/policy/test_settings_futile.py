"""What may be written and never does anything, and that whoever writes it is told."""

from __future__ import annotations

import pytest

from policy.settings import Settings, parse_settings
from policy.settings.futile import NEVER, UNSPOKEN, values_in_vain
from policy.settings.pending import WITHOUT_EFFECT


def test_a_key_that_never_has_an_effect_is_listed_as_without_one() -> None:
    assert set(NEVER) <= WITHOUT_EFFECT


@pytest.mark.parametrize("algorithm", sorted(UNSPOKEN))
def test_an_algorithm_that_nobody_speaks_is_accepted_and_told(algorithm: str) -> None:
    settings = parse_settings({"performance": {"compression": {"algorithm": algorithm}}})

    [line] = values_in_vain(settings)

    assert line.startswith(f"performance.compression.algorithm: {algorithm} ")
    assert "gzip is asked for instead" in line


@pytest.mark.parametrize(
    "compression", [{"algorithm": "zstd"}, {"algorithm": "lz4", "enabled": False}]
)
def test_what_works_or_is_off_is_not_told(compression: dict[str, object]) -> None:
    assert values_in_vain(parse_settings({"performance": {"compression": compression}})) == []


def test_defaults_are_not_told() -> None:
    assert values_in_vain(Settings()) == []
