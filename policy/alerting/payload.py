"""A message as the JSON of ours, which stays as it is: what a generic webhook gets."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from policy.alerting.alert import Message
from policy.alerting.words import cut, one_line

VERSION: Final = "1"
_TEXT: Final = 4_000
_NAME: Final = 500
_FIGURES: Final = 50


def payload(message: Message) -> dict[str, object]:
    """The message by names of ours; docs/alerting.md describes each."""
    alert = message.alert
    return {
        "version": VERSION,
        "id": message.delivery,
        "incident": alert.incident,
        "state": message.state,
        "kind": alert.kind,
        "priority": message.priority,
        "severity": alert.severity,
        "component": alert.component,
        "tenant": alert.tenant,
        "team": message.team,
        "cluster": message.cluster,
        "title": cut(one_line(alert.title), _NAME),
        "reason": cut(one_line(alert.reason), _TEXT),
        "evidence": {
            cut(one_line(name), _NAME): cut(one_line(value), _NAME)
            for name, value in list(alert.evidence.items())[:_FIGURES]
        },
        "dry_run": alert.simulated,
        "at": timestamp(alert.at),
        "opened_at": timestamp(message.opened_at),
        "times": message.times,
        "run_url": message.run_url,
        "runbook_url": message.runbook_url,
    }


def timestamp(at: datetime) -> str:
    """`2026-11-26T12:00:00Z`."""
    return at.isoformat().replace("+00:00", "Z")


def key_of(incident: str, *, most: int) -> str:
    """The incident as a key of another system, of so many visible ASCII characters at most.

    The same incident has the same key for ever; one that is too long, or has other characters, is
    told apart by a digest at its end.
    """
    plain = "".join(char if char.isascii() and char.isprintable() else "_" for char in incident)
    if plain == incident and len(plain) <= most:
        return plain
    digest = sha256(incident.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{plain[: most - len(digest) - 1]}-{digest}"
