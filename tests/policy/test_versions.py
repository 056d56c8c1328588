"""Which limits may be published to which version."""

from __future__ import annotations

import pytest

from policy.catalogue import CORTEX, MIMIR_RELEASES, known_in
from policy.signals import SIZED
from policy.versions import known_to, known_to_all


@pytest.mark.parametrize("version", [None, "main-2f1b3c", ""], ids=["silent", "branch", "empty"])
def test_of_an_unknown_version_only_what_every_version_knows_is_taken(version: str | None) -> None:
    known = known_to(version)

    assert known >= set(SIZED)
    for label in (*(label for _, label in MIMIR_RELEASES), CORTEX):
        assert known <= known_in(label)


def test_a_release_of_mimir_is_taken_at_its_word() -> None:
    assert known_to("3.0.3") == known_in("3.0.3")


@pytest.mark.parametrize("version", ["1.20.1", "v1.20.1"])
def test_a_version_before_2_is_that_of_cortex(version: str) -> None:
    """Mimir began at 2.0, where Cortex still counts from 1."""
    assert known_to(version) == known_in(CORTEX)


def test_only_what_every_running_version_knows_is_known_to_all() -> None:
    """A cluster in the middle of an upgrade runs two."""
    old, new = known_in("2.12.0"), known_in("3.3.0")

    assert known_to_all(["2.12.0", "3.3.0"]) == old & new
    assert known_to_all([]) == known_to(None)
