"""Limits, restarts and kills for want of memory, by the objects of the pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policy.emergency.readings import look_of
from policy.frames import SAMPLES, empty
from policy.pod_resources import CONTAINERS_SEEN, pod_resources, remembered
from policy.resources import RESOURCES, together

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POD = "mimir-ingester-0"
NOTHING = empty(CONTAINERS_SEEN)


def seen(
    *,
    at: datetime = NOON,
    pod: str = POD,
    uid: str = "u1",
    container: str = "ingester",
    memory: float | None = 8e9,
    cpu: float | None = 4.0,
    restarts: int | None = 0,
    oom_killed: bool | None = False,
    ended_at: datetime | None = None,
) -> pl.DataFrame:
    row = (at, pod, uid, container, memory, cpu, restarts, oom_killed, ended_at)
    return pl.DataFrame([row], schema=CONTAINERS_SEEN, orient="row")


def of(found: pl.DataFrame, resource: str) -> tuple[float | None, float | None] | None:
    rows = found.filter(pod=POD, resource=resource).select("used", "limit").rows()
    return (rows[0][0], rows[0][1]) if rows else None


def test_the_limits_are_those_of_the_container_of_mimir_and_not_of_a_sidecar() -> None:
    both = pl.concat([seen(), seen(container="vault-agent", memory=1e8, cpu=0.1, restarts=9)])

    found = pod_resources(both, before=NOTHING)

    assert found.schema == RESOURCES
    assert of(found, "memory_bytes") == (None, 8e9)
    assert of(found, "cpu_cores") == (None, 4)
    assert of(found, "container_restarts") == (0, None)
    assert found["component"].unique().to_list() == ["ingester"]


def test_a_pod_that_is_not_of_mimir_is_left_out() -> None:
    assert pod_resources(seen(container="nginx"), before=NOTHING).is_empty()


def test_without_a_limit_and_before_its_container_was_made_nothing_is_known() -> None:
    bare = seen(memory=None, cpu=None, restarts=None, oom_killed=None)

    assert pod_resources(bare, before=NOTHING).is_empty()


def test_restarts_are_those_of_the_last_quarter_of_an_hour() -> None:
    before = pl.concat(
        [seen(at=NOON - 20 * MINUTE, restarts=3), seen(at=NOON - 10 * MINUTE, restarts=5)]
    )
    now = seen(restarts=7, ended_at=NOON - MINUTE)

    kept = remembered(before, seen=seen(at=NOON - MINUTE, restarts=6), at=NOON - MINUTE)
    found = pod_resources(now, before=kept)

    assert of(found, "container_restarts") == (7 - 5, None)


@pytest.mark.parametrize(("ago", "times"), [(14, 1), (16, 0)])
def test_of_a_pod_that_is_seen_first_it_counts_when_its_container_ended(
    ago: int, times: int
) -> None:
    now = seen(restarts=7, ended_at=NOON - ago * MINUTE)

    assert of(pod_resources(now, before=NOTHING), "container_restarts") == (times, None)


def test_a_new_pod_of_the_same_name_begins_at_zero() -> None:
    """
    A rollout replaces the pods of a StatefulSet, names and all: that is no crash.
    """
    found = pod_resources(seen(uid="u2"), before=seen(at=NOON - MINUTE, restarts=7))

    assert of(found, "container_restarts") == (0, None)


def test_a_kill_for_want_of_memory_is_told() -> None:
    found = pod_resources(seen(restarts=1, oom_killed=True, ended_at=NOON - MINUTE), before=NOTHING)
    look = look_of(found, samples=empty(SAMPLES), at=NOON, network_bytes_per_second=None)

    assert look.container_restarts == {POD: 1}
    assert look.oom_killed == {POD}


def test_the_limit_of_the_container_makes_a_reading_of_what_the_process_uses() -> None:
    rows = [(POD, None, "memory_bytes", 6e9, None), (POD, None, "heap_live_bytes", 1e9, 2e9)]
    own = pl.DataFrame(rows, schema=RESOURCES, orient="row")

    found = together(own, pod_resources(seen(), before=NOTHING))

    look = look_of(found, samples=empty(SAMPLES), at=NOON, network_bytes_per_second=None)
    (reading,) = look.readings
    assert (reading.resource, reading.pod, reading.component) == ("memory", POD, "ingester")
    assert reading.value == pytest.approx(75)
