"""One writer by a Lease, over real HTTP: taken, renewed, watched, taken over, given back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kmock import RawHandler

from policy.errors import ConfigError, RetriableError
from tasks.config_map import Place
from tasks.kubernetes_client import api_client
from tasks.lease import Lease
from tasks.writer import NotTheWriter
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

LEASES = "/apis/coordination.k8s.io/v1/namespaces/mimir/leases"
LEASE = f"{LEASES}/mlo"
SECONDS = 45.0


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


class Clock:
    """The time that the test makes pass."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    return FakeKubernetes(kmock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(kmock: RawHandler, tmp_path: Path) -> Place:
    return Place(
        namespace="mimir",
        name="mlo",
        kubeconfig=kubeconfig(tmp_path, str(kmock.url)),
        timeout=timedelta(seconds=2),
        mend="publish.lease.name",
    )


def lease(place: Place, clock: Clock, identity: str = "pod-a_1") -> Lease:
    return Lease(
        place,
        identity=identity,
        duration=timedelta(seconds=SECONDS),
        clock=clock.now,
        monotonic=clock.monotonic,
    )


async def hold(which: Lease, *, at_least: int = 0) -> int:
    return await asyncio.to_thread(lambda: which.hold(at_least=at_least))


def spec(api: FakeKubernetes) -> tuple[str, int]:
    found = api.kept[LEASE]["spec"]
    return found["holderIdentity"], found["leaseTransitions"]


async def test_the_first_makes_it_and_renews_it_in_time(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours = lease(place, clock)

    epochs = []
    for _ in range(20):
        epochs.append(await hold(ours))
        clock.seconds += 5.0

    assert set(epochs) == {1}
    assert spec(api) == ("pod-a_1", 1)
    assert 100.0 / SECONDS < api.writes("leases") <= 100.0 * 3 / SECONDS + 1


async def test_another_stands_by_while_it_is_renewed_and_takes_over_when_it_is_not(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours, theirs = lease(place, clock), lease(place, clock, "pod-b_2")
    await hold(ours)
    for _ in range(10):
        with pytest.raises(NotTheWriter, match="pod-a_1 writes there"):
            await hold(theirs)
        clock.seconds += 20.0
        await hold(ours)

    with pytest.raises(NotTheWriter):
        await hold(theirs)
    clock.seconds += SECONDS - 1
    with pytest.raises(NotTheWriter):
        await hold(theirs)
    clock.seconds += 1

    assert await hold(theirs) == 2
    assert spec(api) == ("pod-b_2", 2)
    with pytest.raises(NotTheWriter, match="pod-b_2 writes there"):
        await hold(ours)


async def test_one_that_was_given_back_is_taken_at_once(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours, theirs = lease(place, clock), lease(place, clock, "pod-b_2")
    await hold(ours)

    await asyncio.to_thread(ours.release)

    assert spec(api) == ("", 1)
    assert await hold(theirs) == 2
    await asyncio.to_thread(ours.release)  # nothing of ours is left to give back
    assert spec(api) == ("pod-b_2", 2)


async def test_a_process_that_starts_again_takes_its_own_at_once_with_a_new_epoch(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    """What it had begun before it died is shut out like anything of a former writer."""
    await hold(lease(place, clock))

    assert await hold(lease(place, clock)) == 2
    assert spec(api) == ("pod-a_1", 2)


async def test_of_two_at_the_same_moment_one_takes_it(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    first, second = lease(place, clock), lease(place, clock, "pod-b_2")
    api.fates = [409]  # somebody else makes it between the look and ours
    api.put(LEASE, spec={"holderIdentity": "", "leaseTransitions": 4})

    with pytest.raises(NotTheWriter, match="taken by another process at this moment"):
        await hold(first)

    assert await hold(second) == 5


async def test_an_epoch_seen_at_the_place_is_overtaken(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    """Where somebody deleted the Lease, its count begins anew and the place remembers better."""
    ours = lease(place, clock)
    await hold(ours)
    del api.kept[LEASE]

    assert await hold(ours, at_least=9) == 9
    assert await hold(ours) == 9
    assert spec(api) == ("pod-a_1", 9)


async def test_a_deleted_lease_is_made_again_with_a_higher_epoch(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours = lease(place, clock)
    await hold(ours)
    del api.kept[LEASE]
    clock.seconds += SECONDS

    assert await hold(ours) == 2


async def test_one_that_expired_unnoticed_is_renewed_when_nobody_took_it(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours = lease(place, clock)
    await hold(ours)
    clock.seconds += 10 * SECONDS

    assert await hold(ours) == 1
    assert spec(api) == ("pod-a_1", 1)


async def test_an_answer_that_is_lost_is_found_out_at_the_next_look(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    ours = lease(place, clock)
    api.fates = [504]

    with pytest.raises(RetriableError, match="504"):
        await hold(ours)

    assert await hold(ours) == 2, "nobody can tell whether the first epoch was ours"


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("GET", 401, "does not know us (401)"),
        (
            "GET",
            403,
            "let us get the Lease mimir/mlo (403): grant get, create and update",
        ),
        ("POST", 403, "let us create the Lease mimir/mlo (403)"),
        ("POST", 422, "refused the Lease mimir/mlo (422, no): check publish.lease.name"),
    ],
)
async def test_a_refusal_is_one_line_with_the_way_out(
    api: FakeKubernetes, place: Place, clock: Clock, method: str, code: int, words: str
) -> None:
    api.refused = {method: code}

    with pytest.raises(ConfigError) as told:
        await hold(lease(place, clock))

    assert words in str(told.value)
    assert "t0ken" not in str(told.value)


async def test_what_is_no_lease_is_not_believed(
    api: FakeKubernetes, place: Place, clock: Clock
) -> None:
    api.kept[LEASE] = {"kind": "PodList"}

    with pytest.raises(ConfigError, match="no Lease: is a proxy in between"):
        await hold(lease(place, clock))
