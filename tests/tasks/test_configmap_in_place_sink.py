"""The operator's own ConfigMap edited in place, over real HTTP: nothing of theirs is touched."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from kmock import RawHandler

from policy.document import parse, render
from policy.errors import ConfigError, Conflict
from policy.frames import LIMITS
from policy.settings import parse_settings
from tasks.kubernetes_client import api_client
from tasks.sinks import Published, Sink, build_sink
from tasks.sinks.base import Fenced
from tasks.sinks.configmap_in_place import OURS as BESIDE
from tests.fake_kubernetes import FakeKubernetes, kubeconfig

pytestmark = pytest.mark.kmock(cls=RawHandler)

CONFIG_MAP = "/api/v1/namespaces/mimir/configmaps/mimir-runtime"
RATE, SERIES = "ingestion_rate", "max_global_series_per_user"
THEIRS = """\
# Limits of the platform team; ask before you change them.
overrides:
  "team-a":   # the big one
    ingestion_rate: 1e5  # agreed in March
    ruler_max_rules_per_rule_group: 50

  # not ours at all
  team-b: &small
    max_global_series_per_user: 150_000
  team-c: *small
ingester_limits:
  max_series: 3000000
"""
OURS = {("team-a", RATE): 130_000.0, ("team-a", SERIES): 900_000.0, ("team-d", RATE): 20_000.0}


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


@pytest.fixture
def api(kmock: RawHandler) -> FakeKubernetes:
    found = FakeKubernetes(kmock)
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    found.put(
        CONFIG_MAP,
        metadata={"labels": labels, "annotations": {"note": "theirs"}},
        data={"runtime.yaml": THEIRS, "notes.txt": "theirs"},
    )
    return found


def sink_at(kmock: RawHandler, folder: Path, **chosen: object) -> Sink:
    settings = parse_settings(
        {
            "mode": "prod",
            "mimir": {"timeout": "2s", "namespace": "mimir", "configMapName": "mimir-runtime"},
            "metricsDiscovery": {"kubeconfig": str(kubeconfig(folder, str(kmock.url)))},
            "publish": {
                "sink": "configmap-in-place",
                "configMap": {"key": "runtime.yaml", **chosen},
            },
        }
    )
    sink = build_sink(settings)
    assert sink is not None
    return sink


@pytest.fixture
def sink(kmock: RawHandler, tmp_path: Path) -> Sink:
    return sink_at(kmock, tmp_path)


async def read(sink: Sink) -> Published:
    return await asyncio.to_thread(sink.read)


async def write(
    sink: Sink, limits: dict[tuple[str, str], float], *, if_version: str | None = None
) -> str:
    version = (await read(sink)).version if if_version is None else if_version
    rows = [(tenant, limit, value) for (tenant, limit), value in limits.items()]
    document = render(pl.DataFrame(rows, schema=LIMITS, orient="row"))
    return await asyncio.to_thread(lambda: sink.write(document, if_version=version))


def limits(document: bytes | None) -> dict[tuple[str, str], float]:
    assert document is not None
    return {(tenant, limit): value for tenant, limit, value in parse(document).iter_rows()}


async def test_what_is_theirs_is_not_ours_before_and_after(api: FakeKubernetes, sink: Sink) -> None:
    before = await read(sink)
    await write(sink, OURS)

    assert limits(before.document) == {}
    assert limits((await read(sink)).document) == OURS
    lines = api.kept[CONFIG_MAP]["data"]["runtime.yaml"].splitlines()
    for line in THEIRS.splitlines():
        assert line.replace("1e5", "130000") in lines


async def test_withdrawn_it_is_theirs_again_to_the_byte(api: FakeKubernetes, sink: Sink) -> None:
    await write(sink, OURS)
    await write(sink, {key: value for key, value in OURS.items() if key[0] != "team-a"})
    await write(sink, {})

    kept = api.kept[CONFIG_MAP]
    assert kept["data"] == {"runtime.yaml": THEIRS, "notes.txt": "theirs"}
    assert kept["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert kept["metadata"]["annotations"] == {"note": "theirs"}


async def test_an_edit_by_the_operator_stays_and_is_no_longer_overwritten_unseen(
    api: FakeKubernetes, sink: Sink
) -> None:
    await write(sink, OURS)
    version = (await read(sink)).version
    edited = api.kept[CONFIG_MAP]["data"]["runtime.yaml"].replace("50", "60")
    api.kept[CONFIG_MAP]["data"]["runtime.yaml"] = edited
    api.touch(CONFIG_MAP)

    with pytest.raises(Conflict, match="was changed by someone else"):
        await write(sink, {}, if_version=version)
    await write(sink, {})

    assert api.kept[CONFIG_MAP]["data"]["runtime.yaml"] == THEIRS.replace("50", "60")


async def test_our_limits_that_somebody_changed_are_told_as_they_stand(
    api: FakeKubernetes, sink: Sink
) -> None:
    await write(sink, OURS)
    text = api.kept[CONFIG_MAP]["data"]["runtime.yaml"].replace("130000", "7")
    api.kept[CONFIG_MAP]["data"]["runtime.yaml"] = text
    api.touch(CONFIG_MAP)

    assert limits((await read(sink)).document) == OURS | {("team-a", RATE): 7.0}


async def test_a_write_whose_answer_was_lost_is_read_back(api: FakeKubernetes, sink: Sink) -> None:
    await read(sink)
    api.fates = [504]

    version = await write(sink, OURS)

    assert version == api.kept[CONFIG_MAP]["metadata"]["resourceVersion"]
    assert api.writes("configmaps") == 1


async def test_an_epoch_is_an_annotation_and_shuts_out_who_read_before(
    api: FakeKubernetes, sink: Sink
) -> None:
    assert isinstance(sink, Fenced)
    version = (await read(sink)).version

    await asyncio.to_thread(lambda: sink.fence(4, if_version=version))

    assert (await read(sink)).epoch == 4
    with pytest.raises(Conflict):
        await write(sink, OURS, if_version=version)
    assert api.kept[CONFIG_MAP]["data"]["runtime.yaml"] == THEIRS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "the ConfigMap mimir/mimir-runtime does not exist"),
        ({"overrides.yaml": THEIRS}, "has no entry runtime.yaml, but overrides.yaml"),
        ({"runtime.yaml": "overrides: [\n"}, "line 2"),
        ({"runtime.yaml": "overrides: {a: {}, a: {}}\n"}, "'a'"),
        ({"runtime.yaml": "overrides: {}\n---\noverrides: {}\n"}, "document"),
    ],
)
async def test_what_cannot_be_edited_is_refused_in_one_line_and_left_alone(
    api: FakeKubernetes, sink: Sink, data: dict[str, str] | None, words: str
) -> None:
    if data is None:
        del api.kept[CONFIG_MAP]
    else:
        api.put(CONFIG_MAP, data=data)

    with pytest.raises(ConfigError) as told:
        await write(sink, OURS)

    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert api.writes("configmaps") == 0


async def test_a_map_that_would_be_too_large_is_refused_with_the_way_out(
    api: FakeKubernetes, sink: Sink
) -> None:
    api.put(CONFIG_MAP, data={"runtime.yaml": THEIRS, "other": "x" * 899 * 1024})
    many = {(f"team-{number}", RATE): 5.0 for number in range(50)}

    with pytest.raises(ConfigError, match=r"900 KiB are the most: set publish.sink: configmap"):
        await write(sink, many)

    assert api.writes("configmaps") == 0


async def test_a_packed_file_of_theirs_is_edited_too(
    api: FakeKubernetes, kmock: RawHandler, tmp_path: Path
) -> None:
    small = base64.b64encode(gzip.compress(THEIRS.encode())).decode()
    api.put(CONFIG_MAP, binaryData={"runtime.yaml.gz": small})
    sink = sink_at(kmock, tmp_path, compression="gzip")

    await write(sink, OURS)
    there = limits((await read(sink)).document)
    await write(sink, {})

    kept = api.kept[CONFIG_MAP]["binaryData"]
    assert there == OURS
    assert gzip.decompress(base64.b64decode(kept["runtime.yaml.gz"])).decode() == THEIRS


async def test_what_is_ours_is_kept_beside_the_file_in_the_same_write(
    api: FakeKubernetes, sink: Sink
) -> None:
    await write(sink, OURS)

    beside = gzip.decompress(base64.b64decode(api.kept[CONFIG_MAP]["binaryData"][BESIDE]))
    assert api.writes("configmaps") == 1
    assert json.loads(json.loads(beside)["claims"])["before"]["team-a"] == {
        RATE: "1e5",
        SERIES: None,
    }


async def test_claims_that_cannot_be_read_change_nothing(api: FakeKubernetes, sink: Sink) -> None:
    api.put(CONFIG_MAP, data={"runtime.yaml": THEIRS}, binaryData={BESIDE: "bm8="})

    with pytest.raises(ConfigError, match=r"claims.json.gz of the ConfigMap"):
        await read(sink)


async def test_what_the_operator_writes_over_ours_is_what_comes_back(
    api: FakeKubernetes, sink: Sink
) -> None:
    """As when Helm puts the whole file back, with a new number of theirs in it."""
    await write(sink, OURS)
    newer = THEIRS.replace("1e5", "2e5")
    api.kept[CONFIG_MAP]["data"]["runtime.yaml"] = newer
    api.touch(CONFIG_MAP)

    await write(sink, OURS)
    again = limits((await read(sink)).document)
    await write(sink, {})

    assert again == OURS
    assert api.kept[CONFIG_MAP]["data"]["runtime.yaml"] == newer
