"""E-mail over real connections: who is told, within what, and what each answer means."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from policy.settings.channels import Email
from tasks.channels import email as module
from tasks.channels.base import ChannelMisconfigured, MessageRefused
from tasks.channels.email import email_channel
from tests.policy.alerts import alert, message
from tests.tasks.mail_server import (
    PASSWORD,
    USERNAME,
    Mailbox,
    channel,
    mail_server,
    scripted,
)

HOSTILE = (
    "<script>alert(1)</script>\r\nBcc: evil@example.com\r\n\r\n@channel \u202egnp.exe\u200b \ud800"
)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def box(ca: trustme.CA) -> Iterator[Mailbox]:
    with mail_server(ca=ca) as server:
        yield server


async def test_a_mail_goes_out_within_starttls_after_a_login_to_every_mailbox(box: Mailbox) -> None:
    await channel(box.port, box=box).send([message()], address=None)

    assert [(each.mail_from, each.rcpt_tos) for each in box.got] == [
        ("mlo@example.com", ["ops@example.com", "desk@example.com"])
    ]


async def test_port_465_speaks_tls_from_the_first_byte(
    ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(ca=ca, implicit=True) as box:
        monkeypatch.setattr(module, "IMPLICIT_TLS", box.port)
        await channel(box.port, use_tls=True, tls=box.trusting).send([message()], address=None)

    assert len(box.got) == 1


async def test_a_route_names_other_mailboxes(box: Mailbox) -> None:
    await channel(box.port, box=box).send([message()], address="a@example.com, b@example.com")

    assert box.got[0].rcpt_tos == ["a@example.com", "b@example.com"]
    assert str(box.letters()[0]["To"]) == "a@example.com, b@example.com"


@pytest.mark.parametrize(
    "address", ["nobody", "a@example.com,", ",", "a@[", "a@b\r\nRCPT TO:<x@y>"]
)
async def test_a_route_to_no_mailbox_is_no_fault_of_the_channel(box: Mailbox, address: str) -> None:
    with pytest.raises(MessageRefused, match="a route names no mailbox") as refused:
        await channel(box.port, box=box).send([message()], address=address)

    assert "\n" not in str(refused.value)
    assert box.commands == []


async def test_a_repeat_has_the_same_id_and_the_mails_of_an_incident_one_thread(
    box: Mailbox,
) -> None:
    mails = channel(box.port, box=box)
    first, over = message(), message(delivery="another", state="resolved")
    elsewhere = message(alert("breaker:globex"), delivery="third")
    for each in (first, first, over, elsewhere):
        await mails.send([each], address=None)

    ids = [letter["Message-ID"] for letter in box.letters()]
    threads = [letter["References"] for letter in box.letters()]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert threads[0] == threads[1] == threads[2] != threads[3]
    assert [letter["In-Reply-To"] for letter in box.letters()] == threads


@pytest.mark.parametrize(
    ("priority", "urgency", "importance"),
    [("P0", "1", "high"), ("P1", "1", "high"), ("P2", "3", "normal"), ("P3", "5", "low")],
)
async def test_the_headers_say_how_urgent_it_is_and_that_a_machine_wrote_it(
    box: Mailbox, priority: str, urgency: str, importance: str
) -> None:
    at = datetime(2026, 3, 1, 23, 59, 58, tzinfo=UTC)
    told = message(alert(at=at), priority=priority)
    await channel(box.port, box=box).send([told], address=None)

    letter = box.letters()[0]
    assert (letter["X-Priority"], letter["Importance"]) == (urgency, importance)
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime == at


async def test_a_hostile_name_adds_no_header_no_mailbox_and_no_markup(box: Mailbox) -> None:
    told = alert(title=HOSTILE, reason=HOSTILE, tenant=HOSTILE, evidence={HOSTILE: HOSTILE})
    await channel(box.port, box=box).send([message(told, team=HOSTILE)], address=None)

    letter = box.letters()[0]
    text, html = (
        part.get_content()
        for part in (letter.get_body(["plain"]), letter.get_body(["html"]))
        if part
    )
    assert letter["Bcc"] is None
    assert box.got[0].rcpt_tos == ["ops@example.com", "desk@example.com"]
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not {"\u202e", "\u200b"} & set(f"{letter['Subject']}{text}{html}")


async def test_ten_thousand_characters_are_cut_and_every_line_fits_the_wire(box: Mailbox) -> None:
    long = "ä" * 10_000
    told = alert(title=long, reason=long, tenant=long, evidence={"samples/s": long})
    await channel(box.port, box=box).send([message(told)], address=None)

    raw = box.got[0].content
    assert isinstance(raw, bytes)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert len(box.letters()[0]["Subject"]) == 200
    assert box.letters()[0]["Subject"].endswith("…")


async def test_many_are_one_mail_that_lists_them(box: Mailbox) -> None:
    many = [message(alert(f"breaker:{name}", title=f"{name} blasts")) for name in ("a", "b", "c")]
    await channel(box.port, box=box).send(many, address=None)

    assert len(box.got) == 1
    body = box.letters()[0].get_body(["plain"])
    assert body is not None
    assert [line for line in body.get_content().splitlines() if line.startswith("-")] == [
        "- [P1] a blasts",
        "- [P1] b blasts",
        "- [P1] c blasts",
    ]


async def test_whoever_is_not_refused_is_told_and_the_log_says_who_was(
    box: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    box.refuses = {"desk@example.com": "550 no such mailbox"}
    with caplog.at_level(logging.WARNING, logger=module.__name__):
        await channel(box.port, box=box).send([message()], address=None)

    assert box.got[0].rcpt_tos == ["ops@example.com"]
    said = [record for record in caplog.records if record.name == module.__name__]
    assert [record.getMessage() for record in said] == [
        "alerting.email: told all but 1 of 2: desk@example.com: 550 no such mailbox"
    ]


async def test_the_check_goes_as_far_as_the_mailbox_and_sends_nothing(box: Mailbox) -> None:
    await channel(box.port, box=box).check()

    assert box.commands == ["MAIL mlo@example.com", "RCPT ops@example.com"]
    assert box.got == []


async def test_the_check_greets_a_server_without_tls_first() -> None:
    with scripted({"EHLO": "250 hello", "MAIL": "250 ok"}) as port:
        await channel(port).check()


async def test_a_server_without_starttls_is_never_spoken_to_in_the_open(ca: trustme.CA) -> None:
    with mail_server(ca=ca, plain=True) as box:
        open_one = channel(box.port, use_tls=True, tls=box.trusting)
        with pytest.raises(ChannelMisconfigured, match="offers no STARTTLS"):
            await open_one.send([message()], address=None)

    assert box.commands == []


async def test_a_login_that_the_server_does_not_offer_is_said(ca: trustme.CA) -> None:
    with mail_server(ca=ca, plain=True) as box:
        asking = channel(box.port, username=USERNAME, password=PASSWORD)
        with pytest.raises(ChannelMisconfigured, match="offers no AUTH"):
            await asking.check()


async def test_a_login_of_a_kind_that_nobody_knows_is_said() -> None:
    with scripted({"EHLO": "250-hello\r\n250 AUTH KERBEROS_V4"}) as port:
        asking = channel(port, username=USERNAME, password=PASSWORD)
        with pytest.raises(ChannelMisconfigured, match="offers no login that is known here"):
            await asking.check()


async def test_a_wrong_password_is_said_without_it(box: Mailbox) -> None:
    wrong = channel(box.port, box=box, password="tuna-and-chips")
    with pytest.raises(ChannelMisconfigured, match="does not take this username") as refused:
        await wrong.send([message()], address=None)

    assert "(535)" in str(refused.value)
    assert "tuna" not in f"{refused.value}{wrong!r}"


async def test_a_certificate_that_nobody_vouches_for_is_refused(box: Mailbox) -> None:
    stranger = trustme.CA()
    other = Mailbox(port=box.port, ca=stranger)
    with pytest.raises(ChannelMisconfigured, match="does not prove who it is"):
        await channel(box.port, box=other).send([message()], address=None)

    assert box.commands == []


async def test_a_certificate_of_another_host_is_refused(ca: trustme.CA) -> None:
    refused = pytest.raises(ChannelMisconfigured, match="does not prove who it is")
    with mail_server(ca=ca, host="mail.example.com") as box, refused:
        await channel(box.port, box=box).send([message()], address=None)


async def test_another_authority_is_trusted_where_the_system_is_told_to(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    box.ca.cert_pem.write_to_path(authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    await channel(box.port, box=box, tls=ssl.create_default_context).check()

    assert box.commands == ["MAIL mlo@example.com", "RCPT ops@example.com"]


def settings(**of: Any) -> Email:  # noqa: ANN401 - of Email
    plain = {"smtpHost": "mail.example.com", "from": "mlo@example.com", "to": ["ops@example.com"]}
    return Email.model_validate({**plain, **of})


def test_the_channel_is_what_the_settings_say() -> None:
    built = email_channel(settings(username="mlo", password=SecretStr("pw\n"), timeout="3s"))

    assert (built.host, built.port, built.use_tls) == ("mail.example.com", 587, True)
    assert (built.username, built.password) == ("mlo", "pw")
    assert built.timeout_seconds == timedelta(seconds=3).total_seconds()


def test_without_a_sender_the_username_sends() -> None:
    built = email_channel(settings(**{"from": None, "username": "mlo@example.com"}))

    assert built.sender == "mlo@example.com"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"smtpHost": None}, "alerting.email.smtpHost is not set"),
        ({"from": None}, "alerting.email.from is not set"),
        ({"to": []}, "alerting.email.to is not set"),
        ({"smtpHost": "mail..example.com"}, "alerting.email.smtpHost is no name of a host"),
        ({"from": "mlo"}, "alerting.email names no mailbox"),
        ({"to": ["ops@example.com", "a@["]}, "alerting.email names no mailbox"),
        ({"username": "mlö"}, "alerting.email.username holds what is not ASCII"),
        ({"password": "pässword"}, "alerting.email.password holds what is not ASCII"),
    ],
)
def test_settings_that_are_not_enough_are_said_in_one_line(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ChannelMisconfigured) as refused:
        email_channel(settings(**wrong))

    assert str(refused.value).startswith(said)
    assert "pässword" not in str(refused.value)
