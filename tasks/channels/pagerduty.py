"""PagerDuty's Events API v2: an incident by its key is triggered, acknowledged, resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policy.alerting.alert import Message
from policy.alerting.payload import key_of, timestamp
from policy.alerting.routing import CHANGES
from policy.alerting.words import cut, cut_bytes, excerpt, facts, headline, one_line
from policy.settings.channels import PagerDuty, Priority
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.http import Answer, Request, ask, secret

NAME: Final = "pagerduty"
KEY: Final = "alerting.pagerduty"
SOURCE: Final = "mimir-limit-optimizer"

_SEVERITIES: Final[Mapping[Priority, str]] = {
    "P0": "critical",
    "P1": "error",
    "P2": "warning",
    "P3": "info",
}
_ACTIONS: Final = {"firing": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
_SUMMARY, _KEY, _DETAIL, _DETAILS = 1_024, 255, 2_000, 50
_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PagerDutyChannel:
    """One integration."""

    url: str
    integration_key: str
    timeout_seconds: float
    name: str = NAME
    takes_many: bool = False
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Send each; `address` is another integration key than that of the settings."""
        key = address or self.integration_key
        for message in messages:
            if message.alert.kind == CHANGES:
                await self._post("/v2/change/enqueue", _change(message, key=key), key=key)
            else:
                await self._post("/v2/enqueue", pagerduty_event(message, key=key), key=key)
        return None

    async def check(self) -> None:
        """Send an event that is none: PagerDuty says what is missing, and nobody is paged.

        It proves the way and that the key is well-formed; whose key it is only an event can tell.
        """
        body = {"routing_key": self.integration_key, "event_action": "trigger"}
        answer = await self._ask("/v2/enqueue", body, key=self.integration_key)
        if answer.status != _BAD_REQUEST:
            raise ChannelUnavailable(f"{KEY}: PagerDuty answered {answer.status} to a check")
        if _is_about_the_key(answer):
            raise self._no_key(self.integration_key)

    async def _post(self, path: str, body: Mapping[str, object], *, key: str) -> None:
        answer = await self._ask(path, body, key=key)
        if answer.status != _BAD_REQUEST:
            return
        if _is_about_the_key(answer):
            raise self._no_key(key)
        said = excerpt(answer.text, secrets=[key, self.integration_key])
        raise MessageRefused(f"{KEY}: PagerDuty does not take this event: {said}")

    def _no_key(self, key: str) -> ChannelMisconfigured | MessageRefused:
        # A route that names a wrong key is no reason to leave everybody else alone.
        if key != self.integration_key:
            return MessageRefused(f"{KEY}: a route names what is no key of PagerDuty; correct it")
        return ChannelMisconfigured(f"{KEY}.integrationKey is no key of PagerDuty; correct it")

    async def _ask(self, path: str, body: Mapping[str, object], *, key: str) -> Answer:
        content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        return await ask(
            Request(
                url=f"{self.url}{path}",
                content=content,
                headers={"Content-Type": "application/json; charset=utf-8"},
            ),
            key=KEY,
            timeout_seconds=self.timeout_seconds,
            secrets=[key, self.integration_key],
            allow=[_BAD_REQUEST],
        )


def pagerduty_channel(settings: PagerDuty) -> PagerDutyChannel:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    return PagerDutyChannel(
        url=settings.url,
        integration_key=secret(settings.integration_key, key=f"{KEY}.integrationKey"),
        timeout_seconds=settings.timeout.total_seconds(),
    )


def pagerduty_event(message: Message, *, key: str) -> dict[str, object]:
    """The event that the message is; of one that does not fire, only which incident is meant."""
    alert = message.alert
    event: dict[str, object] = {
        "routing_key": key,
        "event_action": _ACTIONS[message.state],
        "dedup_key": key_of(alert.incident, most=_KEY),
    }
    if message.state != "firing":
        return event
    links = ((message.run_url, "the run"), (message.runbook_url, "what to do"))
    return {
        **event,
        "payload": {
            "summary": cut(headline(message), _SUMMARY),
            "source": cut(one_line(message.cluster), _KEY),
            "severity": _SEVERITIES[message.priority],
            "timestamp": timestamp(alert.at),
            "component": cut(one_line(alert.tenant or alert.component), _KEY),
            "group": alert.component,
            "class": alert.kind,
            "custom_details": {
                **_details(message),
                "reason": cut_bytes(one_line(alert.reason), 4 * _DETAIL),
            },
        },
        "client": SOURCE,
        "links": [{"href": url, "text": text} for url, text in links if url],
    }


def _change(message: Message, *, key: str) -> dict[str, object]:
    return {
        "routing_key": key,
        "payload": {
            "summary": cut(one_line(message.alert.title), _SUMMARY),
            "source": cut(one_line(message.cluster), _KEY),
            "timestamp": timestamp(message.alert.at),
            "custom_details": _details(message),
        },
        "links": [{"href": message.run_url, "text": "the run"}] if message.run_url else [],
    }


def _details(message: Message) -> dict[str, str]:
    return {cut(name, _KEY): cut_bytes(value, _DETAIL) for name, value in facts(message)[:_DETAILS]}


def _is_about_the_key(answer: Answer) -> bool:
    said = answer.text.lower().replace("_", " ")
    return "routing key" in said
