"""What other services understand: the body, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from policy.alerting.alert import Message
from policy.alerting.payload import key_of, payload, timestamp
from policy.alerting.words import cut, cut_bytes, facts, headline, one_line
from policy.settings.channels import Priority, Template

JSON: Final = "application/json; charset=utf-8"
SOURCE: Final = "mimir-limit-optimizer"

# OpsGenie has five, of which the last is for information.
_OPSGENIE: Final[Mapping[Priority, str]] = {"P0": "P1", "P1": "P2", "P2": "P3", "P3": "P5"}
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
    """A body, its kind, and the path below the address where it goes; None: the address itself."""

    body: Mapping[str, object]
    content_type: str = JSON
    path: str | None = None


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
            "details": {name: cut(value, 1_000) for name, value in facts(message)},
        }
    )


def _servicenow(message: Message) -> Templated | None:
    """A record of the table `incident`.

    Its end is not sent: over this API a record is changed by an id that only the answer to its
    creation tells, and a second POST would be a second record.
    """
    if message.state != "firing":
        return None
    known = (f"{name}: {value}" for name, value in facts(message))
    lines = [one_line(message.alert.reason), *known]
    return Templated(
        body={
            "short_description": cut(headline(message), 160),
            "description": cut("\n".join(lines), 4_000),
            "correlation_id": key_of(message.alert.incident, most=100),
            "correlation_display": SOURCE,
            "urgency": _SERVICENOW[message.priority],
            "impact": _SERVICENOW[message.priority],
        }
    )


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
    """Text for a card, in which a part of Markdown means something."""
    escaped = "".join(f"\\{char}" if char in "\\*_[]()`#" else char for char in text)
    return cut_bytes(escaped, most)


TEMPLATES: Final[Mapping[Template, Callable[[Message], Templated | None]]] = {
    "json": _ours,
    "opsgenie": _opsgenie,
    "servicenow": _servicenow,
    "teams": _teams,
    "cloudevents": _cloudevents,
}
