"""What other services understand: the body, and where it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from policy.alerting.alert import Message
from policy.alerting.payload import key_of, payload, timestamp
from policy.alerting.words import cut, cut_signs, facts, headline, one_line
from policy.settings.channels import Priority, Template

JSON: Final = "application/json; charset=utf-8"
SOURCE: Final = "mimir-limit-optimizer"

# OpsGenie has five, of which the last is for information.
_OPSGENIE: Final[Mapping[Priority, str]] = {"P0": "P1", "P1": "P2", "P2": "P3", "P3": "P5"}
_OPSGENIE_DETAILS, _DETAIL_NAME, _DETAIL = 8_000, 100, 1_000
_SYS_ID: Final = re.compile(r'"sys_id"\s*:\s*"([0-9a-f]{32})"')
# 1 high, 2 medium, 3 low.
_SERVICENOW: Final[Mapping[Priority, str]] = {"P0": "1", "P1": "1", "P2": "2", "P3": "3"}
_TEAMS_COLORS: Final[Mapping[Priority, str]] = {
    "P0": "attention",
    "P1": "attention",
    "P2": "warning",
    "P3": "accent",
}
_TEAMS_FACTS: Final = 20
_TEAMS_TEXT: Final = 4_000
_TEAMS_FACT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Templated:
    """What is sent.

    Attributes:
        body: JSON.
        content_type: of the body.
        path: below the address, where it goes; None: to the address itself.
        method: None: that of the settings; else this changes what an earlier message created.
        reference: what later messages of the incident refer to, out of the answer.
    """

    body: Mapping[str, object]
    content_type: str = JSON
    path: str | None = None
    method: str | None = None
    reference: Callable[[str], str | None] | None = None


def _ours(message: Message) -> Templated:
    return Templated(body=payload(message))


def _cloudevents(message: Message) -> Templated:
    """CloudEvents 1.0, structured mode."""
    return Templated(
        content_type="application/cloudevents+json; charset=utf-8",
        body={
            "specversion": "1.0",
            "id": message.delivery,
            "source": f"/{SOURCE}/{quote(message.cluster, safe='')}",
            "type": f"{SOURCE}.alert.{message.state}",
            "subject": key_of(message.alert.incident, most=250),
            "time": timestamp(message.alert.at),
            "datacontenttype": "application/json",
            "data": payload(message),
        },
    )


def _opsgenie(message: Message) -> Templated:
    """The Alert API v2: an alert by its alias is created, acknowledged, closed."""
    alias = key_of(message.alert.incident, most=512)
    note = cut(one_line(message.alert.reason) or headline(message), 25_000)
    if message.state != "firing":
        action = "close" if message.state == "resolved" else "acknowledge"
        return Templated(
            body={"source": SOURCE, "note": note},
            path=f"{quote(alias, safe='')}/{action}?identifierType=alias",
        )
    return Templated(
        body={
            "message": cut(headline(message), 130),
            "alias": alias,
            "description": cut(one_line(message.alert.reason), 15_000),
            "priority": _OPSGENIE[message.priority],
            "source": cut(one_line(message.cluster), 100),
            "entity": cut(one_line(message.alert.tenant or message.alert.component), 512),
            "tags": [message.alert.kind, message.alert.component],
            "details": _held(facts(message), most=_OPSGENIE_DETAILS),
        }
    )


def _servicenow(message: Message) -> Templated | None:
    """A record of the table `incident`; what is known later is a work note of it.

    Its state is left alone: what a record needs to be resolved differs from one ServiceNow to
    the other, and whoever works on it closes it.
    """
    known = (f"{name}: {value}" for name, value in facts(message))
    text = cut("\n".join([one_line(message.alert.reason), *known]), 4_000)
    if message.thread is not None:
        note = cut(f"{headline(message)} ({message.state})\n{text}", 4_000)
        return Templated(body={"work_notes": note}, path=message.thread, method="PATCH")
    if message.state != "firing":
        return None  # no record is known, and a new one would begin what is over
    return Templated(
        body={
            "short_description": cut(headline(message), 160),
            "description": text,
            "correlation_id": key_of(message.alert.incident, most=100),
            "correlation_display": SOURCE,
            "urgency": _SERVICENOW[message.priority],
            "impact": _SERVICENOW[message.priority],
        },
        reference=_sys_id,
    )


def _sys_id(answer: str) -> str | None:
    """The id of the record that was created; None where the answer names none."""
    found = _SYS_ID.search(answer)
    return found[1] if found else None


def _teams(message: Message) -> Templated:
    """An Adaptive Card, as a workflow of Teams takes it; 28 KB is the most that it does."""
    resolved = message.state == "resolved"
    text = [
        {
            "type": "TextBlock",
            "text": _card(headline(message), most=_TEAMS_FACT),
            "weight": "bolder",
            "size": "medium",
            "wrap": True,
            "color": "good" if resolved else _TEAMS_COLORS[message.priority],
        },
        {
            "type": "TextBlock",
            "text": _card(one_line(message.alert.reason), most=_TEAMS_TEXT),
            "wrap": True,
        },
        {
            "type": "FactSet",
            "facts": [
                {"title": _card(name, most=100), "value": _card(value, most=_TEAMS_FACT)}
                for name, value in facts(message)[:_TEAMS_FACTS]
            ],
        },
    ]
    links = (("Run", message.run_url), ("What to do", message.runbook_url))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": text,
        "actions": [
            {"type": "Action.OpenUrl", "title": title, "url": url} for title, url in links if url
        ],
    }
    return Templated(
        body={
            "type": "message",
            "attachments": [
                {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
            ],
        }
    )


def _card(text: str, *, most: int) -> str:
    """Text for a card, in which a part of Markdown means something; so many bytes as JSON."""
    signs = [f"\\{char}" if char in "\\*_[]()`#" else char for char in text[: most + 1]]
    return cut_signs(signs, most, size=_bytes_as_json)


def _bytes_as_json(sign: str) -> int:
    return len(json.dumps(sign, ensure_ascii=False).encode()) - len('""')


def _held(named: Sequence[tuple[str, str]], *, most: int) -> dict[str, str]:
    """As many of them, from the first, as so many characters hold."""
    held: dict[str, str] = {}
    for name, value in named:
        said = {cut(name, _DETAIL_NAME): cut(value, _DETAIL)}
        if sum(len(text) for pair in (held | said).items() for text in pair) > most:
            break
        held |= said
    return held


TEMPLATES: Final[Mapping[Template, Callable[[Message], Templated | None]]] = {
    "json": _ours,
    "opsgenie": _opsgenie,
    "servicenow": _servicenow,
    "teams": _teams,
    "cloudevents": _cloudevents,
}
