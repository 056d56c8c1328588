"""Alertmanager: real ones, which take, show and end alerts; and servers that answer oddly."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from policy.settings.channels import Alertmanager
from tasks.channels import alertmanager as module
from tasks.channels.alertmanager import HOLDS_FOR, RESENT_EVERY, AlertmanagerChannel
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tests.policy.alerts import NOON, alert, message
from tests.tasks.receiver import Says, receiving

HOSTILE = '<script>{{ .x }}</script>\r\n@channel "quoted" \u202egnp.exe\u200b \ud800'


@pytest.fixture(scope="module")
def replicas(
    debian_tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Two Alertmanagers that do not know each other."""
    program = debian_tool("prometheus-alertmanager", "prometheus-alertmanager")
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        first, second = (stack.enter_context(_running(program, folder)) for folder in folders)
        yield first, second


@pytest.fixture
def now() -> datetime:
    """A real Alertmanager goes by its own clock."""
    return datetime.now(UTC).replace(microsecond=0)


@contextmanager
def _running(program: str, folder: Path) -> Iterator[str]:
    config = folder / "alertmanager.yml"
    config.write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.path={folder}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=20) as client:
            assert client.get(f"http://{address}/-/ready").is_success
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def channel(*urls: str, now: datetime = NOON, **of: Any) -> AlertmanagerChannel:  # noqa: ANN401 - of it
    plain: dict[str, Any] = {"headers": {}, "timeout_seconds": 5.0}
    return AlertmanagerChannel(urls=urls, clock=lambda: now, **{**plain, **of})


def fires(url: str, incident: str) -> list[dict[str, Any]]:
    """What an Alertmanager shows of the incident as firing."""
    found = httpx.get(f"{url}/api/v2/alerts", params={"filter": f'incident="{incident}"'}).json()
    return [each for each in found if isinstance(each, dict)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def nobody_there() -> str:
    """The address of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def test_an_alert_fires_on_every_replica_and_ends_there(
    replicas: tuple[str, str], now: datetime
) -> None:
    told = message(alert("breaker:ends"), opened_at=now - timedelta(minutes=3))
    await channel(*replicas, now=now).send([told], address=None)
    while_it_lasts = [fires(url, "breaker:ends") for url in replicas]
    over = message(told.alert, opened_at=told.opened_at, state="resolved")
    await channel(*replicas, now=now).send([over], address=None)

    assert [len(shown) for shown in while_it_lasts] == [1, 1]
    assert [fires(url, "breaker:ends") for url in replicas] == [[], []]


async def test_an_alert_shows_what_it_is_about(replicas: tuple[str, str], now: datetime) -> None:
    told = message(alert("breaker:shown"), opened_at=now - timedelta(minutes=3))
    await channel(*replicas, now=now).send([told], address=None)

    (shown,) = fires(replicas[0], "breaker:shown")
    assert shown["labels"] == {
        "alertname": "MimirLimitOptimizer",
        "incident": "breaker:shown",
        "severity": "critical",
        "component": "circuit-breaker",
        "cluster": "mimir-prod",
        "tenant": "acme",
        "team": "payments",
    }
    assert shown["annotations"]["summary"] == "acme blasts: its breaker caps it"
    assert shown["annotations"]["runbook_url"] == "https://runbooks.example#breaker"
    assert "samples/s: 40,000" in shown["annotations"].values()
    assert shown["generatorURL"] == "https://prefect.example/runs/flow-run/1"
    assert at(shown["startsAt"]) == now - timedelta(minutes=3)
    assert at(shown["endsAt"]) == now + HOLDS_FOR


async def test_a_repeat_prolongs_the_same_alert(replicas: tuple[str, str], now: datetime) -> None:
    told = message(alert("breaker:again"), opened_at=now)
    await channel(*replicas, now=now).send([told], address=None)
    later = now + RESENT_EVERY
    more = message(alert("breaker:again", evidence={"samples/s": "50,000"}), opened_at=now, times=2)
    await channel(*replicas, now=later).send([more], address=None)

    (shown,) = fires(replicas[0], "breaker:again")
    assert at(shown["endsAt"]) == later + HOLDS_FOR


async def test_a_repeat_that_comes_late_by_three_times_its_interval_is_in_time() -> None:
    assert HOLDS_FOR > 3 * RESENT_EVERY


async def test_a_hostile_name_is_taken_as_text(replicas: tuple[str, str], now: datetime) -> None:
    name = f"{HOSTILE}{'ä' * 10_000}"
    told = alert("hostile", title=name, reason=name, tenant=name, evidence={name: name})
    await channel(*replicas, now=now).send([message(told, team=name, opened_at=now)], address=None)

    (shown,) = fires(replicas[0], "hostile")
    values = [*shown["labels"].values(), *shown["annotations"].values()]
    assert shown["labels"]["tenant"].startswith("<script>{{ .x }}</script> @channel")
    assert not {"\r", "\n", "\u202e", "\u200b"} & set("".join(values))
    assert len(shown["labels"]["tenant"]) == 500


async def test_many_are_told_at_once(replicas: tuple[str, str], now: datetime) -> None:
    many = [message(alert(f"many:{at}"), opened_at=now) for at in range(3)]
    await channel(*replicas, now=now).send(many, address=None)

    assert [len(fires(replicas[1], f"many:{at}")) for at in range(3)] == [1, 1, 1]


async def test_an_end_before_the_begin_is_not_refused(
    replicas: tuple[str, str], now: datetime
) -> None:
    ahead = message(state="resolved", opened_at=now + timedelta(seconds=30))

    await channel(*replicas, now=now).send([ahead], address=None)


async def test_one_replica_is_enough_and_the_log_names_the_other(
    replicas: tuple[str, str], now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    told = message(alert("breaker:one-down"), opened_at=now)
    with caplog.at_level(logging.WARNING, logger=module.__name__):
        await channel(nobody_there(), replicas[1], now=now).send([told], address=None)

    assert len(fires(replicas[1], "breaker:one-down")) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("alerting.alertmanager: 127.0.0.1 cannot be reached: ")
    assert line.endswith("; another replica has it")


async def test_the_check_asks_whether_a_replica_is_ready(replicas: tuple[str, str]) -> None:
    await channel(*replicas).check()
    await channel(nobody_there(), replicas[1]).check()

    with pytest.raises(ChannelUnavailable, match="cannot be reached"):
        await channel(nobody_there(), nobody_there()).check()


async def test_replicas_are_told_side_by_side_and_one_that_hangs_holds_up_no_other() -> None:
    with receiving(lambda _: Says(hangs=True)) as deaf, receiving() as well:
        await channel(deaf.url, well.url, timeout_seconds=0.3).send([message()], address=None)

    assert len(well.got) == 1


@pytest.mark.parametrize(
    ("says", "error", "wait"),
    [
        (Says(status=400, body=b"bad label"), MessageRefused, None),
        (Says(status=401), ChannelMisconfigured, None),
        (Says(status=403), ChannelMisconfigured, None),
        (Says(status=404), ChannelMisconfigured, None),
        (Says(status=302, headers={"Location": "/login"}), ChannelMisconfigured, None),
        (Says(status=429, headers={"Retry-After": "17"}), ChannelUnavailable, 17.0),
        (Says(status=500, body=b"\x00\xff garbage"), ChannelUnavailable, None),
        (Says(resets=True), ChannelUnavailable, None),
    ],
)
async def test_each_answer_is_one_of_three_errors_in_one_line(
    says: Says, error: type[Exception], wait: float | None
) -> None:
    with receiving(lambda _: says) as odd, pytest.raises(error) as raised:
        await channel(odd.url).send([message()], address=None)

    assert str(raised.value).startswith("alerting.alertmanager: 127.0.0.1 ")
    assert "\n" not in str(raised.value)
    assert getattr(raised.value, "retry_after_seconds", None) == wait


async def test_silence_is_told_as_silence() -> None:
    with receiving(lambda _: Says(hangs=True)) as deaf, pytest.raises(ChannelUnavailable) as raised:
        await channel(deaf.url, timeout_seconds=0.2).send([message()], address=None)

    assert raised.value.timeout


async def test_of_replicas_that_fail_the_one_decides_that_may_pass() -> None:
    with receiving(lambda _: Says(status=401)) as shut, receiving() as busy:
        busy.says(503)
        with pytest.raises(ChannelUnavailable, match="503"):
            await channel(shut.url, busy.url).send([message()], address=None)


async def test_a_header_is_sent_and_never_told() -> None:
    settings = Alertmanager.model_validate(
        {"urls": ["http://127.0.0.1:9"], "headers": {"Authorization": "Bearer sesame"}}
    )
    headers = module.alertmanager_channel(settings, clock=lambda: NOON).headers
    with receiving(lambda got: Says(status=500, body=got.headers["Authorization"].encode())) as odd:
        shut = channel(odd.url, headers=headers)
        with pytest.raises(ChannelUnavailable) as raised:
            await shut.send([message()], address=None)

    assert odd.got[0].headers["Authorization"] == "Bearer sesame"
    assert "sesame" not in f"{raised.value}{shut!r}"


async def test_what_does_not_matter_for_routes_leaves_the_labels_as_they_are() -> None:
    with receiving() as well:
        for told in (
            message(),
            message(priority="P0", times=7),
            message(alert(title="else", evidence={}), state="resolved", runbook_url=None),
        ):
            await channel(well.url).send([told], address=None)

    labels = [got.json[0]["labels"] for got in well.got]
    assert labels[0] == labels[1] == labels[2]


def test_without_an_address_the_channel_is_off() -> None:
    with pytest.raises(ChannelMisconfigured, match=r"alerting\.alertmanager\.urls names no"):
        module.alertmanager_channel(Alertmanager(), clock=lambda: NOON)
