"""The ConfigMap of the audit, written with the official client over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kmock import RawHandler, Response

from policy.audit import AuditEntry
from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError
from policy.room import CONFIG_MAP_BYTES
from policy.settings import parse_settings
from storage.audit import append_audit
from storage.database import Database
from tasks.audit_export import mirror_to_config_map
from tasks.audit_mirror import KEY, fitting, mirror_of, put
from tasks.config_map import Place
from tasks.kubernetes_client import api_client
from tests.tasks.test_configmap_sink import Api, stored, told
from tests.tasks.test_kubernetes_pods import SECRET, kubeconfig, status

# Its emulator of Kubernetes knows no resourceVersion.
pytestmark = pytest.mark.kmock(cls=RawHandler)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = "/api/v1/namespaces/mimir-system/configmaps"
NAMED = f"{PLACE}/mimir-limit-optimizer-audit"
OURS = {"mimir-limit-optimizer/writer": "mimir-limit-optimizer"}


@pytest.fixture(autouse=True)
def _new_clients() -> Iterator[None]:
    api_client.cache_clear()
    yield
    api_client.cache_clear()


class OurApi(Api):
    """The ConfigMap of the audit; `edits` are others' edits before our next writes."""

    def __init__(self, kmock: RawHandler, kept: dict[str, Any] | None = None) -> None:
        super().__init__(kmock, kept)
        self.edits = 0
        kmock[f"get {NAMED}"] << self.get
        kmock[f"post {PLACE}"] << self.create
        kmock[f"patch {NAMED}"] << self.edited

    def edited(self, request: Any) -> object:  # noqa: ANN401 - kmock's
        if self.edits and self.kept:
            self.edits -= 1
            self.kept["metadata"]["resourceVersion"] = str(int(self.version) + 1)
        return self.patch(request)

    @property
    def document(self) -> str:
        assert self.kept is not None
        return str(self.kept["data"][KEY])


def mirror_at(kmock: RawHandler, folder: Path) -> Place:
    return mirror_of(
        parse_settings(
            {
                "mimir": {"timeout": "2s"},
                "metricsDiscovery": {"kubeconfig": str(kubeconfig(folder, str(kmock.url)))},
            }
        )
    )


async def mirrored(document: str, mirror: Place) -> None:
    await asyncio.to_thread(lambda: put(document, mirror=mirror))


async def test_the_first_write_makes_it_and_the_next_changes_our_key_alone(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api, mirror = OurApi(kmock), mirror_at(kmock, tmp_path)

    await mirrored("1\n", mirror)
    assert api.kept is not None
    api.kept["data"]["note"] = "theirs"
    await mirrored("1\n2\n", mirror)

    assert api.kept["data"] == {KEY: "1\n2\n", "note": "theirs"}
    assert api.kept["metadata"]["annotations"] == OURS
    assert api.kept["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "mimir-limit-optimizer"
    }


async def test_what_stands_there_already_is_not_written_again(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api = OurApi(kmock, stored({KEY: "1\n"}, annotations=OURS))

    await mirrored("1\n", mirror_at(kmock, tmp_path))

    assert api.writes == []


async def test_an_edit_in_between_is_looked_at_anew_once(kmock: RawHandler, tmp_path: Path) -> None:
    api = OurApi(kmock, stored({"note": "theirs"}, annotations=OURS))
    mirror = mirror_at(kmock, tmp_path)

    api.edits = 1
    await mirrored("1\n", mirror)
    api.edits = 2
    with pytest.raises(Conflict, match="was changed by someone else"):
        await mirrored("2\n", mirror)

    assert api.document == "1\n"
    assert len(api.writes) == 1


async def test_what_is_not_ours_is_left_alone(kmock: RawHandler, tmp_path: Path) -> None:
    api = OurApi(kmock, stored({KEY: "theirs"}))

    with pytest.raises(ConfigError, match=r"not written by us .* auditLog\.configMap\.name"):
        await mirrored("1\n", mirror_at(kmock, tmp_path))

    assert api.writes == []


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (401, ConfigError, "does not know us (401)"),
        (403, ConfigError, "grant get, create and patch on configmaps in namespace mimir-system"),
        (409, Conflict, "was changed by someone else"),
        (422, ConfigError, "(422, may not be more than 1048576 bytes): check mimir.namespace and"),
        (429, RetriableError, "was not written"),
        (500, RetriableError, "was not written"),
    ],
)
async def test_a_refused_write_is_one_line_with_the_way_out(
    kmock: RawHandler, tmp_path: Path, code: int, kind: type[OptimizerError], words: str
) -> None:
    kmock[f"get {NAMED}"] << told(200, stored({}))
    kmock[f"patch {NAMED}"] << Response(
        status=code, payload=status(code, "may not be more than 1048576 bytes")
    )

    with pytest.raises(kind) as refusal:
        await mirrored("1\n", mirror_at(kmock, tmp_path))

    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert SECRET not in str(refusal.value)


async def test_without_the_namespace_nothing_can_be_made(kmock: RawHandler, tmp_path: Path) -> None:
    kmock[f"get {NAMED}"] << told(404, "configmaps not found")
    kmock[f"post {PLACE}"] << told(404, "namespaces not found")

    with pytest.raises(ConfigError, match=r"no namespace mimir-system \(404\)"):
        await mirrored("1\n", mirror_at(kmock, tmp_path))


@pytest.mark.parametrize("code", [401, 403, 429, 500])
async def test_a_refused_read_says_why(kmock: RawHandler, tmp_path: Path, code: int) -> None:
    kmock[f"get {NAMED}"] << told(code, "no")

    with pytest.raises(OptimizerError, match=str(code)):
        await mirrored("1\n", mirror_at(kmock, tmp_path))


async def test_what_is_no_configmap_is_not_believed(kmock: RawHandler, tmp_path: Path) -> None:
    kmock[f"get {NAMED}"] << b"<html>please log in</html>"

    with pytest.raises(ConfigError, match="is a proxy in between"):
        await mirrored("1\n", mirror_at(kmock, tmp_path))


async def test_an_api_that_is_away_is_told(tmp_path: Path) -> None:
    settings = {"metricsDiscovery": {"kubeconfig": str(kubeconfig(tmp_path, "http://127.0.0.1:9"))}}

    with pytest.raises(RetriableError, match="could not be reached"):
        await mirrored("1\n", mirror_of(parse_settings(settings)))


async def test_the_newest_entries_are_mirrored_in_the_order_of_time(
    kmock: RawHandler, tmp_path: Path
) -> None:
    api = OurApi(kmock)
    with Database.open(":memory:", clock=lambda: NOON) as database:
        append_audit(
            database,
            [
                AuditEntry(
                    at=NOON + timedelta(seconds=n),
                    category="system",
                    component="publish",
                    action=f"a{n}",
                    actor="optimizer",
                    success=True,
                    details={"text": '\r\n"<script>'},
                )
                for n in range(5)
            ],
        )
        await mirror_to_config_map(database, mirror=mirror_at(kmock, tmp_path), newest=3)

    assert [json.loads(line)["action"] for line in api.document.splitlines()] == ["a2", "a3", "a4"]


def test_as_many_lines_as_fit_are_kept_the_newest_of_them() -> None:
    lines = [f"{n:04}" + "x" * 1_000 for n in range(2_000)]

    document = fitting(lines)

    assert CONFIG_MAP_BYTES - 1_005 < len(document) <= CONFIG_MAP_BYTES
    assert document.endswith(f"{lines[0]}\n")


def test_one_line_that_is_too_long_for_it_all_hides_no_other() -> None:
    assert fitting(["x" * CONFIG_MAP_BYTES, "2", "1"]) == "1\n2\n"
