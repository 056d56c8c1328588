"""Apprise, with the real package, over real connections."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytest

from policy.settings.channels import Apprise
from tasks.channels.apprise_service import AppriseChannel, apprise_channel
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable
from tests.policy.alerts import alert, message
from tests.tasks.receiver import Receiver, Says, receiving

HOSTILE = "<script>alert(1)</script>\r\n@channel \\n \u202egnp.exe\u200b \ud800"


def channel(receiver: Receiver, *, query: str = "", **of: Any) -> AppriseChannel:  # noqa: ANN401 - of it
    host = receiver.url.removeprefix("http://")
    plain: dict[str, Any] = {"name": "chat", "timeout_seconds": 5.0}
    return AppriseChannel(**{**plain, "url": f"json://ann:sesame@{host}/key-of-ours{query}", **of})


@pytest.mark.parametrize(
    ("priority", "state", "sort"),
    [
        ("P0", "firing", "failure"),
        ("P1", "firing", "failure"),
        ("P2", "firing", "warning"),
        ("P3", "firing", "info"),
        ("P1", "resolved", "success"),
    ],
)
async def test_a_message_has_a_title_a_body_and_a_type_by_its_priority(
    priority: str, state: str, sort: str
) -> None:
    with receiving() as chat:
        await channel(chat).send([message(priority=priority, state=state)], address=None)

    sent = chat.got[0].json
    mark = "resolved" if state == "resolved" else priority
    assert sent["title"] == f"[{mark}] acme blasts: its breaker caps it"
    assert sent["message"].startswith("it sends 40,000 samples/s, usual are 4,000")
    assert "tenant: acme" in sent["message"].splitlines()
    assert sent["type"] == sort


async def test_many_are_one_list() -> None:
    many = [message(alert(f"breaker:{at}", title=f"tenant {at} blasts")) for at in range(40)]
    with receiving() as chat:
        await channel(chat).send(many, address=None)

    lines = chat.got[0].json["message"].splitlines()
    assert len(chat.got) == 1
    assert lines[0] == "- [P1] tenant 0 blasts"
    assert lines[30:] == ["… and 10 more"]


async def test_a_hostile_name_is_text_also_where_the_service_shows_html() -> None:
    told = alert(title=HOSTILE, reason=HOSTILE, tenant=HOSTILE, evidence={HOSTILE: HOSTILE})
    with receiving() as chat:
        await channel(chat, query="?format=html").send([message(told)], address=None)

    sent = chat.got[0].json
    assert "<script" not in sent["message"]
    assert "&lt;script&gt;" in sent["message"]
    assert not {"\u202e", "\u200b", "\r"} & set(f"{sent['title']}{sent['message']}")


async def test_ten_thousand_characters_are_cut() -> None:
    long = "ä" * 10_000
    with receiving() as chat:
        await channel(chat).send([message(alert(title=long, reason=long))], address=None)

    assert len(chat.got[0].json["title"]) == 200
    assert len(chat.got[0].json["message"]) == 3_000


@pytest.mark.parametrize(
    "says",
    [Says(status=400), Says(status=403), Says(status=429), Says(status=500), Says(resets=True)],
)
async def test_what_is_not_taken_is_tried_once_and_told_without_the_address(
    says: Says, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, logger="apprise"), receiving(lambda _: says) as chat:
        asked = channel(chat, query="?retry=3&wait=1")
        with pytest.raises(ChannelUnavailable) as raised:
            await asked.send([message()], address=None)

    printed = "".join(capfd.readouterr())
    shown = f"{raised.value}{asked!r}{printed}{caplog.text}"
    assert str(raised.value) == "alerting.apprise.chat: the service did not take it"
    assert len(chat.got) == 1
    assert "sesame" not in shown
    assert "key-of-ours" not in shown


async def test_a_service_that_hangs_is_given_up_within_the_time_out() -> None:
    began = time.monotonic()
    with receiving(lambda _: Says(hangs=True)) as deaf, pytest.raises(ChannelUnavailable):
        await channel(deaf, timeout_seconds=0.3).send([message()], address=None)

    assert time.monotonic() - began < 3.0


async def test_the_check_tells_nobody() -> None:
    with receiving() as chat:
        await channel(chat).check()

    assert chat.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "alerting.apprise.chat.url is not set"),
        ("nonsense://sesame", "alerting.apprise.chat.url is no address that Apprise knows"),
        ("slack://sesame", "alerting.apprise.chat.url is no address that Apprise knows"),
    ],
)
def test_an_address_that_is_none_is_said_without_it(
    url: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ChannelMisconfigured) as refused:
        apprise_channel(Apprise.model_validate({"url": url}), name="chat")

    assert str(refused.value).startswith(said)
    assert "sesame" not in f"{refused.value}{caplog.text}"


def test_without_the_package_the_channel_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChannelMisconfigured, match="install the extra `apprise`"):
        apprise_channel(Apprise.model_validate({"url": "json://127.0.0.1"}), name="chat")
