"""What a mail server may answer, and how long anybody waits for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from tasks.channels import email as module
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tests.policy.alerts import message
from tests.tasks.mail_server import BREAKS, DRIPS, PASSWORD, Mailbox, channel, mail_server, scripted


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server(ca=trustme.CA()) as server:
        yield server


@pytest.mark.parametrize(
    ("verb", "answer", "error"),
    [
        ("GREETING", "421 too busy", ChannelUnavailable),
        ("GREETING", "554 no service for you", ChannelMisconfigured),
        ("GREETING", "HTTP/1.1 400 Bad Request", ChannelUnavailable),
        ("MAIL", "421 closing", ChannelUnavailable),
        ("MAIL", "450 later", ChannelUnavailable),
        ("MAIL", "550 not this sender", ChannelMisconfigured),
        ("RCPT", "450 greylisted", ChannelUnavailable),
        ("RCPT", "550 no such mailbox", MessageRefused),
        ("DATA", "451 later", ChannelUnavailable),
        (".", "421 closing", ChannelUnavailable),
        (".", "452 disk is full", ChannelUnavailable),
        (".", "554 looks like spam", MessageRefused),
        ("GREETING", BREAKS, ChannelUnavailable),
        ("RCPT", BREAKS, ChannelUnavailable),
        (".", BREAKS, ChannelUnavailable),
    ],
)
async def test_each_answer_is_one_of_three_errors_in_one_line(
    verb: str, answer: str, error: type[Exception]
) -> None:
    with scripted({verb: answer}) as port, pytest.raises(error) as raised:
        await channel(port).send([message()], address=None)

    assert type(raised.value) is error
    assert str(raised.value).startswith(f"alerting.email: 127.0.0.1:{port} ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_the_check_blames_the_settings_for_what_is_refused(verb: str) -> None:
    with scripted({verb: "550 no"}) as port, pytest.raises(ChannelMisconfigured, match="550 no"):
        await channel(port).check()


async def test_the_check_waits_where_the_server_asks_for_patience() -> None:
    later = pytest.raises(ChannelUnavailable, match="450 greylisted")
    with scripted({"RCPT": "450 greylisted"}) as port, later:
        await channel(port).check()


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "RCPT", "."])
async def test_silence_is_told_as_silence_and_not_waited_for_twice(verb: str) -> None:
    began = time.monotonic()
    with scripted({verb: None}) as port, pytest.raises(ChannelUnavailable) as raised:
        await channel(port, timeout_seconds=0.2).send([message()], address=None)

    assert raised.value.timeout
    assert "did not answer in 0.2s" in str(raised.value)
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("verb", ["GREETING", "RCPT"])
async def test_an_answer_that_never_ends_is_broken_off(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLACK_SECONDS", 0.1)
    with scripted({verb: DRIPS}) as port, pytest.raises(ChannelUnavailable) as raised:
        await channel(port, timeout_seconds=0.3).send([message()], address=None)

    assert raised.value.timeout


async def test_nothing_of_a_mail_runs_on_after_it(box: Mailbox) -> None:
    before = {one for one in threading.enumerate() if isinstance(one, threading.Timer)}
    await channel(box.port, box=box, timeout_seconds=30.0).send([message()], address=None)
    with scripted({".": BREAKS}) as port, pytest.raises(ChannelUnavailable):
        await channel(port, timeout_seconds=30.0).send([message()], address=None)
    with scripted({"GREETING": "554 no"}) as port, pytest.raises(ChannelMisconfigured):
        await channel(port, timeout_seconds=30.0).send([message()], address=None)

    left = {one for one in threading.enumerate() if isinstance(one, threading.Timer)} - before
    assert all(one.finished.is_set() for one in left)


async def test_a_mail_that_was_taken_is_told_though_the_farewell_is_never_answered() -> None:
    began = time.monotonic()
    with scripted({"QUIT": None}) as port:
        await channel(port, timeout_seconds=30.0).send([message()], address=None)

    assert time.monotonic() - began < 5.0


async def test_a_foreign_answer_is_quoted_short_printable_and_without_the_password() -> None:
    long = f"554 {PASSWORD} \x1b[31m{'x' * 500}"
    with scripted({".": long}) as port, pytest.raises(MessageRefused) as raised:
        await channel(port, password=PASSWORD).send([message()], address=None)

    assert PASSWORD not in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 200


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(ChannelUnavailable, match="cannot be reached"):
            await channel(probe.getsockname()[1]).check()


@pytest.mark.parametrize(
    ("number", "error"),
    [(socket.EAI_NONAME, ChannelMisconfigured), (socket.EAI_AGAIN, ChannelUnavailable)],
)
async def test_a_host_that_does_not_exist_is_a_mistake_and_a_sick_resolver_is_not(
    monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(error):
        await channel(25, host="mail.example.com").check()
