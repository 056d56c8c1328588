"""A ConfigMap of our own, written with the official client over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler, Response

from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.settings import parse_settings
from tasks.kubernetes_client import api_client
from tasks.sinks import Published, Sink, build_sink
from tests.tasks.test_kubernetes_pods import SECRET, kubeconfig, status

# Its emulator of Kubernetes knows no resourceVersion.
pytestmark = pytest.mark.kmock(cls=RawHandler)

PLACE = "/api/v1/namespaces/mimir-system/configmaps"
NAMED = f"{PLACE}/mimir-runtime-overrides"
FIRST, SECOND = (f'overrides:\n  "a":\n    ingestion_rate: {rate}\n'.encode() for rate in (1, 2))


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


def told(code: int, what: object) -> Response:
    """An answer; kmock keeps a status for the next ones, so each has its own."""
    return Response(status=code, payload=status(code, what) if isinstance(what, str) else what)


class Api:
    """The one ConfigMap as Kubernetes keeps it: versions, merge patches, conflicts."""

    def __init__(self, kmock: RawHandler, kept: dict[str, Any] | None = None) -> None:
        self.kept = kept
        self.writes: list[dict[str, Any]] = []
        self.lost: list[str] = []  # the fates of the next writes: "before" or "after" they count
        kmock[f"get {NAMED}"] << self.get
        kmock[f"post {PLACE}"] << self.create
        kmock[f"patch {NAMED}"] << self.patch

    def get(self) -> object:
        return told(200, self.kept) if self.kept else told(404, "not found")

    def create(self, request: Any) -> object:  # noqa: ANN401 - kmock's
        if self.kept is not None:
            return told(409, "exists")
        return self._write({**request.data, "metadata": {**request.data["metadata"]}})

    def patch(self, request: Any) -> object:  # noqa: ANN401 - kmock's
        if self.kept is None:
            return told(404, "not found")
        if request.data["metadata"]["resourceVersion"] != self.version:
            return told(409, "changed")
        return self._write(merged(self.kept, request.data))

    def _write(self, whole: dict[str, Any]) -> object:
        fate = self.lost.pop(0) if self.lost else "answered"
        if fate == "before":
            return told(503, "starting")
        number = int(self.version) + 1 if self.kept else 1
        whole["metadata"]["resourceVersion"] = str(number)
        self.kept = whole
        self.writes.append(whole)
        if fate == "after":
            return told(504, "timeout")
        return told(200, whole)

    @property
    def version(self) -> str:
        assert self.kept is not None
        return str(self.kept["metadata"]["resourceVersion"])


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    found = dict(old)
    for key, value in new.items():
        if isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        elif value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found


def stored(data: dict[str, str], **metadata: object) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"resourceVersion": "7", **metadata}, "data": data}


def sink_at(kmock: RawHandler, folder: Path, **chosen: object) -> Sink:
    settings = parse_settings(
        {
            "mode": "prod",
            "mimir": {"timeout": "2s"},
            "metricsDiscovery": {"kubeconfig": str(kubeconfig(folder, str(kmock.url)))},
            "publish": {"sink": "configmap", "configMap": chosen},
        }
    )
    sink = build_sink(settings)
    assert sink is not None
    return sink


async def read(sink: Sink) -> Published:
    return await asyncio.to_thread(sink.read)


async def write(sink: Sink, document: bytes, *, if_version: str) -> str:
    return await asyncio.to_thread(lambda: sink.write(document, if_version=if_version))


async def test_the_first_write_makes_it_and_the_next_replaces_the_document(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api, sink = Api(kmock), sink_at(kmock, tmp_path)

    absent = await read(sink)
    first = await write(sink, FIRST, if_version=absent.version)
    second = await write(sink, SECOND, if_version=first)

    assert absent.document is None
    assert await read(sink) == Published(document=SECOND, version=second)
    assert api.kept is not None
    assert api.kept["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "mimir-limit-optimizer"
    }
    assert sink.describe() == (
        "overrides.yaml of the ConfigMap mimir-system/mimir-runtime-overrides"
    )
    assert sink.arrives_within is not None
    assert sink.arrives_within > timedelta(minutes=2)  # the kubelet's own


async def test_only_our_key_is_touched(kmock: RawHandler, tmp_path: Path) -> None:
    kept = stored(
        {"other.yaml": "theirs", "overrides.yaml": "overrides: {}\n"},
        annotations={"note": "theirs"},
        labels={"app.kubernetes.io/managed-by": "Helm"},
    )
    api, sink = Api(kmock, kept), sink_at(kmock, tmp_path)

    await write(sink, FIRST, if_version=(await read(sink)).version)

    assert api.kept is not None
    assert api.kept["data"] == {"other.yaml": "theirs", "overrides.yaml": FIRST.decode()}
    assert api.kept["metadata"]["annotations"]["note"] == "theirs"
    assert api.kept["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}


@pytest.mark.parametrize("edit", ["changed", "made", "removed"])
async def test_an_edit_between_read_and_write_is_a_conflict_and_stays(
    kmock: RawHandler, tmp_path: Path, edit: str
) -> None:
    api = Api(kmock, None if edit == "made" else stored({"overrides.yaml": "overrides: {}\n"}))
    sink = sink_at(kmock, tmp_path)
    version = (await read(sink)).version
    theirs = stored({"overrides.yaml": "overrides: {}\n", "new": "1"}, resourceVersion="8")
    api.kept = None if edit == "removed" else theirs

    with pytest.raises(Conflict, match="was changed by someone else"):
        await write(sink, FIRST, if_version=version)

    assert api.writes == []
    assert api.kept == (None if edit == "removed" else theirs)


@pytest.mark.parametrize("made", [True, False], ids=["create", "patch"])
async def test_a_write_whose_answer_is_lost_is_read_back_and_not_written_twice(
    kmock: RawHandler, tmp_path: Path, *, made: bool
) -> None:
    api = Api(kmock, None if made else stored({"overrides.yaml": "overrides: {}\n"}))
    sink = sink_at(kmock, tmp_path)
    version = (await read(sink)).version
    api.lost = ["after"]

    found = await write(sink, FIRST, if_version=version)

    assert found == api.version
    assert len(api.writes) == 1


async def test_a_write_that_did_not_arrive_is_told_and_changes_nothing(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api, sink = Api(kmock), sink_at(kmock, tmp_path)
    api.lost = ["before"]

    with pytest.raises(RetriableError, match="was not written: the Kubernetes API did not answer"):
        await write(sink, FIRST, if_version=(await read(sink)).version)

    assert api.kept is None


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (401, ConfigError, "does not know us (401)"),
        (403, ConfigError, "grant get, create and patch on configmaps in namespace mimir-system"),
        (422, ConfigError, "(422, may not be more than 1048576 bytes)"),
        (429, RetriableError, "was not written"),
        (500, RetriableError, "was not written"),
    ],
)
async def test_a_refused_write_is_one_line_with_the_way_out(
    kmock: RawHandler, tmp_path: Path, code: int, kind: type[OptimizerError], words: str
) -> None:
    kmock[f"get {NAMED}"] << stored({})
    kmock[f"patch {NAMED}"] << code << status(code, "may not be more than 1048576 bytes")

    with pytest.raises(kind) as told:
        await write(sink_at(kmock, tmp_path), FIRST, if_version="7")

    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert SECRET not in str(told.value)


async def test_without_the_namespace_nothing_can_be_made(kmock: RawHandler, tmp_path: Path) -> None:
    kmock[f"post {PLACE}"] << 404 << status(404, "namespaces not found")

    with pytest.raises(ConfigError, match="no namespace mimir-system"):
        await write(sink_at(kmock, tmp_path), FIRST, if_version="absent")


@pytest.mark.parametrize("code", [401, 403, 429, 500])
async def test_a_refused_read_says_why(kmock: RawHandler, tmp_path: Path, code: int) -> None:
    kmock[f"get {NAMED}"] << code << status(code, "no")

    with pytest.raises(OptimizerError, match=str(code)):
        await read(sink_at(kmock, tmp_path))


async def test_a_large_document_is_refused_with_the_way_to_pack_it(
    kmock: RawHandler, tmp_path: Path
) -> None:
    large = FIRST + b"#" * 900 * 1024
    api = Api(kmock)

    with pytest.raises(ConfigError, match=r"takes 900 KiB.*compression: gzip"):
        await write(sink_at(kmock, tmp_path), large, if_version="absent")
    assert api.writes == []

    packing = sink_at(kmock, tmp_path, compression="gzip")
    version = await write(packing, large, if_version="absent")

    assert await read(packing) == Published(document=large, version=version)
    assert api.kept is not None
    assert list(api.kept["binaryData"]) == ["overrides.yaml.gz"]


async def test_what_is_packed_is_the_same_bytes_each_time(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api, sink = Api(kmock), sink_at(kmock, tmp_path, compression="gzip")

    first = await write(sink, FIRST, if_version="absent")
    await write(sink, FIRST, if_version=first)

    one, other = (each["binaryData"]["overrides.yaml.gz"] for each in api.writes)
    assert one == other
    assert gzip.decompress(base64.b64decode(one)) == FIRST


async def test_limits_that_we_did_not_write_are_left_alone(
    kmock: RawHandler, tmp_path: Path
) -> None:
    """Such as the operator's own file, where ours was to be."""
    Api(kmock, stored({"overrides.yaml": FIRST.decode()}))

    with pytest.raises(ConfigError, match="holds limits that we did not write"):
        await read(sink_at(kmock, tmp_path))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>please log in</html>", "no ConfigMap: is a proxy in between"),
        (json.dumps({"kind": "PodList"}).encode(), "no ConfigMap: is a proxy in between"),
    ],
)
async def test_what_is_no_configmap_is_not_believed(
    kmock: RawHandler, tmp_path: Path, body: bytes, words: str
) -> None:
    kmock[f"get {NAMED}"] << body

    with pytest.raises(ConfigError, match=words):
        await read(sink_at(kmock, tmp_path))


async def test_what_a_webhook_changes_on_the_way_is_told(kmock: RawHandler, tmp_path: Path) -> None:
    kmock[f"patch {NAMED}"] << stored({"overrides.yaml": "overrides: {}\n"})

    with pytest.raises(ConfigError, match="does not hold what was written"):
        await write(sink_at(kmock, tmp_path), FIRST, if_version="7")


async def test_a_dry_run_asks_kubernetes_nothing(kmock: RawHandler) -> None:
    tree = {"publish": {"sink": "configmap"}}

    assert build_sink(parse_settings(tree)) is None
    assert len(kmock) == 0
