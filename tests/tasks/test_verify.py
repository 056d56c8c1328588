"""Confirmed, failed, or inconclusive: what a look at the pods proves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from policy.frames import LIMITS
from tasks.sinks import FileSink
from tasks.sinks.file import ABSENT
from tasks.verify import (
    Confirmed,
    Expectation,
    Failed,
    Inconclusive,
    Observation,
    PodState,
    judge,
    put_back,
)

RATE = "ingestion_rate"
DEFAULTS = {RATE: 10_000}


def limits(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


WANTED = limits(("a", RATE, 13_000))
OLD = limits(("a", RATE, 12_000))


def expecting(expected: pl.DataFrame = WANTED, **more: object) -> Expectation:
    before = {"mimir-0": "old", "mimir-1": "old"}
    return Expectation(**{"hash_before": before, "defaults": DEFAULTS} | more, expected=expected)


def look(
    *states: tuple[bool | None, str | None], values: pl.DataFrame | None = WANTED
) -> Observation:
    return Observation(
        states=[
            PodState(pod=f"mimir-{order}", successful=successful, sha256=sha256)
            for order, (successful, sha256) in enumerate(states)
        ],
        values_seen=values,
    )


NEW_EVERYWHERE = ((True, "new"), (True, "new"))
OLD_EVERYWHERE = ((True, "old"), (True, "old"))


def test_the_values_on_every_pod_with_one_new_file_are_the_proof() -> None:
    verdict = judge(expecting(), seen=look(*NEW_EVERYWHERE))

    assert isinstance(verdict, Confirmed)
    assert verdict.evidence.startswith("2 pods loaded new")


def test_values_that_were_in_force_before_need_no_new_hash() -> None:
    assert isinstance(judge(expecting(), seen=look(*OLD_EVERYWHERE)), Confirmed)


def test_a_failed_reload_on_one_pod_is_a_failure() -> None:
    verdict = judge(expecting(), seen=look((True, "new"), (False, "old")))

    assert isinstance(verdict, Failed)
    assert "mimir-1" in verdict.detail


def test_a_new_file_everywhere_with_other_values_is_a_failure() -> None:
    verdict = judge(expecting(), seen=look(*NEW_EVERYWHERE, values=OLD))

    assert isinstance(verdict, Failed)
    assert "ingestion_rate of a is 12,000, not 13,000" in verdict.detail


@pytest.mark.parametrize(
    "seen",
    [
        look(*OLD_EVERYWHERE, values=OLD),
        look((True, "new"), (True, "old"), values=OLD),
        look((True, "new"), (True, "old")),
        look((True, "new"), (True, "newer"), values=OLD),
        look((True, "new"), (None, None)),
        look((True, "new"), (True, None)),
        look((True, "new")),
        look(),
        look(*NEW_EVERYWHERE, values=None),
    ],
    ids=[
        "nothing new",
        "half new, old values",
        "half new, new values",
        "two different new files",
        "silent pod",
        "pod without a hash",
        "pod gone",
        "no pods",
        "no values",
    ],
)
def test_anything_less_is_inconclusive(seen: Observation) -> None:
    assert isinstance(judge(expecting(), seen=seen), Inconclusive)


def test_other_values_on_a_pod_not_seen_before_are_no_failure() -> None:
    """Its hash may well be that of the old file."""
    unknown = expecting(hash_before={"mimir-0": "old", "mimir-1": None})

    assert isinstance(judge(unknown, seen=look(*NEW_EVERYWHERE, values=OLD)), Inconclusive)


def test_an_override_equal_to_the_default_is_invisible_and_counts_as_seen() -> None:
    expected = limits(("a", RATE, 10_000))

    assert isinstance(judge(expecting(expected), seen=look(*NEW_EVERYWHERE, values=OLD)), Failed)
    shown = judge(expecting(expected), seen=look(*NEW_EVERYWHERE, values=limits()))
    assert isinstance(shown, Confirmed)


def test_an_override_that_is_not_shown_and_is_no_default_is_missing() -> None:
    verdict = judge(expecting(), seen=look(*NEW_EVERYWHERE, values=limits()))

    assert isinstance(verdict, Failed)
    assert "is 10,000, not 13,000" in verdict.detail


def test_a_limit_whose_default_is_not_known_is_missing_when_it_is_not_shown() -> None:
    verdict = judge(expecting(defaults={}), seen=look(*NEW_EVERYWHERE, values=limits()))

    assert isinstance(verdict, Failed)
    assert "is unknown, not 13,000" in verdict.detail


def test_a_removed_limit_must_be_gone_or_the_file_be_new() -> None:
    """The operator's own file may say the same value, so a new file everywhere suffices."""
    removed = expecting(limits(), removed=OLD)

    assert isinstance(judge(removed, seen=look(*OLD_EVERYWHERE, values=OLD)), Inconclusive)
    assert isinstance(judge(removed, seen=look(*NEW_EVERYWHERE, values=OLD)), Confirmed)


def test_many_differences_are_named_in_part() -> None:
    expected = limits(*((f"t{order}", RATE, 5.0) for order in range(9)))

    verdict = judge(expecting(expected), seen=look(*NEW_EVERYWHERE, values=limits()))

    assert isinstance(verdict, Failed)
    assert verdict.detail.endswith("and more")


def test_the_previous_document_is_put_back_while_ours_is_there(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "runtime.yaml")
    ours = sink.write(b"ours", if_version=ABSENT)

    assert put_back(sink, previous=b"previous", if_version=ours)

    assert sink.read().document == b"previous"


def test_what_somebody_else_wrote_since_is_not_put_back(tmp_path: Path) -> None:
    path = tmp_path / "runtime.yaml"
    sink = FileSink(path)
    ours = sink.write(b"ours", if_version=ABSENT)
    path.write_bytes(b"theirs")

    assert not put_back(sink, previous=b"previous", if_version=ours)

    assert path.read_bytes() == b"theirs"
