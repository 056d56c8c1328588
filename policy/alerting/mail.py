"""A message as an e-mail: a subject, a text, and the same as HTML for those who read it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from html import escape
from typing import Final

from policy.alerting.alert import Message
from policy.alerting.blocks import color, digest_title
from policy.alerting.words import cut, excerpt, facts, headline, one_line
from policy.settings.channels import Priority

DOMAIN: Final = "mimir-limit-optimizer.invalid"
_SUBJECT: Final = 200
_TEXT: Final = 4_000
_LISTED: Final = 200
# 1 highest to 5 lowest.
_URGENCY: Final[Mapping[Priority, tuple[str, str]]] = {
    "P0": ("1", "high"),
    "P1": ("1", "high"),
    "P2": ("3", "normal"),
    "P3": ("5", "low"),
}
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="margin:0;padding:16px;font:15px/1.5 system-ui,sans-serif">
<div style="max-width:640px;margin:0 auto;border-left:6px solid {color};padding:4px 0 4px 16px">
<h1 style="font-size:19px;line-height:1.3;margin:0 0 8px;overflow-wrap:anywhere">{title}</h1>
{body}
</div>
</body>
</html>
"""


def mail(messages: Sequence[Message], *, sender: str, to: Sequence[str], name: str) -> EmailMessage:
    """The e-mail of one message, or of several as a list.

    Args:
        messages: one or more.
        sender: the `mailbox` that it comes from.
        to: those that it goes to.
        name: how the sender is called.
    """
    first = messages[0]
    title = headline(first) if len(messages) == 1 else digest_title(messages)
    letter = EmailMessage()
    letter["Subject"] = cut(title, _SUBJECT)
    letter["From"] = Address(display_name=name, addr_spec=sender)
    letter["To"] = [Address(addr_spec=each) for each in to]
    letter["Date"] = format_datetime(_sent_at(messages))
    letter["Message-ID"] = f"<{first.delivery}@{DOMAIN}>"
    if len(messages) == 1:
        thread = f"<{_digest(f'{first.alert.incident} {first.opened_at.isoformat()}')}@{DOMAIN}>"
        letter["In-Reply-To"] = letter["References"] = thread
    urgency, importance = _URGENCY[first.priority]
    letter["X-Priority"], letter["Importance"] = urgency, importance
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(_text(messages, title=title))
    letter.add_alternative(_html(messages, title=title), subtype="html")
    return letter


def mailbox(text: str) -> str:
    """The bare address `name@host`, without the white space around it.

    Raises:
        ValueError: it is none; the error quotes it.
    """
    spec = text.strip()
    try:
        return Address(addr_spec=spec).addr_spec
    # The parser of the standard library stumbles over some of what it should refuse.
    except (ValueError, MessageError, LookupError, AttributeError):
        raise ValueError(f"no mailbox of the form name@host: {excerpt(spec)!r}") from None


def _sent_at(messages: Sequence[Message]) -> datetime:
    return max(message.alert.at for message in messages)


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _text(messages: Sequence[Message], *, title: str) -> str:
    if len(messages) > 1:
        listed = [f"- {headline(message)}" for message in messages[:_LISTED]]
        return "\n".join([title, "", *listed, *_more(messages)]) + "\n"
    message = messages[0]
    known = facts(message)
    width = max((len(name) for name, _ in known), default=0)
    lines = [f"{name + ':':<{width + 2}}{cut(value, _TEXT)}" for name, value in known]
    links = [f"{name}: {url}" for name, url in _links(message)]
    reason = cut(one_line(message.alert.reason), _TEXT)
    return "\n".join([title, "", reason, "", *lines, "", *links]).rstrip() + "\n"


def _html(messages: Sequence[Message], *, title: str) -> str:
    first = messages[0]
    if len(messages) > 1:
        rows = "".join(
            f'<li style="overflow-wrap:anywhere">{escape(headline(message))}</li>'
            for message in messages[:_LISTED]
        )
        more = "".join(f"<p>{escape(line)}</p>" for line in _more(messages))
        body = f'<ul style="padding-left:20px">{rows}</ul>{more}'
    else:
        rows = "".join(_row(name, cut(value, _TEXT)) for name, value in facts(first))
        links = " · ".join(
            f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in _links(first)
        )
        reason = escape(cut(one_line(first.alert.reason), _TEXT))
        body = (
            f'<p style="overflow-wrap:anywhere">{reason}</p>'
            f'<table style="border-collapse:collapse;width:100%">{rows}</table><p>{links}</p>'
        )
    return _PAGE.format(title=escape(title), color=color(first), body=body)


def _row(name: str, value: str) -> str:
    cell = "padding:4px 12px 4px 0;text-align:left;vertical-align:top"
    return (
        f'<tr><th style="{cell};font-weight:600;white-space:nowrap">{escape(name)}</th>'
        f'<td style="{cell};overflow-wrap:anywhere">{escape(value)}</td></tr>'
    )


def _more(messages: Sequence[Message]) -> list[str]:
    rest = len(messages) - _LISTED
    return [f"… and {rest:,} more; mlo alerts list has them all"] if rest > 0 else []


def _links(message: Message) -> list[tuple[str, str]]:
    links = (("The run", message.run_url), ("What to do", message.runbook_url))
    return [(name, url) for name, url in links if url]
