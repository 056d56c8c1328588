"""Who is told, over which channel, and how fast a silence escalates.

A channel without its address is allowed here: a half-configured channel must not stop the
protection. What would identify us to others (hook addresses, keys, passwords, headers) is
secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from policy.settings.section import Section
from policy.settings.values import Escalation, Faults, Port, PositiveDuration, not_empty

CHANNELS: Final = ("slack", "pagerduty", "email", "webhook", "webhooks", "prometheus")
_TIMEOUT: Final = timedelta(seconds=30)


class Slack(Section):
    """An incoming webhook of Slack."""

    also_spelled: ClassVar[Mapping[str, str]] = {"webhook": "webhookURL"}

    enabled: bool = False
    webhook_url: Annotated[SecretStr | None, Field(alias="webhookURL")] = None
    channel: str = "#mimir-alerts"
    username: str = "Mimir Limit Optimizer"
    timeout: PositiveDuration = _TIMEOUT


class PagerDuty(Section):
    """An integration of PagerDuty's Events API."""

    enabled: bool = False
    integration_key: SecretStr | None = None
    timeout: PositiveDuration = _TIMEOUT


class Email(Section):
    """A mail server and the mailboxes that it reaches."""

    enabled: bool = False
    smtp_host: str | None = None
    smtp_port: Port = 587
    username: str | None = None
    password: SecretStr | None = None
    sender: Annotated[str | None, Field(alias="from")] = None
    to: tuple[str, ...] = ()
    use_tls: bool = True
    timeout: PositiveDuration = _TIMEOUT


def _method(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Webhook(Section):
    """Any other HTTP endpoint."""

    enabled: bool = False
    url: SecretStr | None = None
    method: Annotated[Literal["POST", "PUT", "PATCH"], BeforeValidator(_method)] = "POST"
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout: PositiveDuration = _TIMEOUT


class RouteMatch(Section):
    """What an alert must be like; a key that is not written matches every alert."""

    severity: str | None = None
    component: str | None = None
    priority: Literal["P0", "P1", "P2", "P3"] | None = None
    tenant: str | None = None


class Route(Section):
    """Where a matching alert goes, and after how long without an answer it goes further."""

    match: RouteMatch = RouteMatch()
    channels: Annotated[tuple[str, ...], AfterValidator(not_empty)]
    escalation: Escalation = timedelta(minutes=15)


class Alerting(Section):
    """Channels, and the routes to them."""

    enabled: bool = True
    slack: Slack = Slack()
    pagerduty: PagerDuty = PagerDuty()
    email: Email = Email()
    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    routing: tuple[Route, ...] = ()

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """A lone `webhook` becomes the entry `default` of `webhooks`."""
        if not isinstance(tree, Mapping) or "webhook" not in tree:
            return tree
        webhooks = tree.get("webhooks", {})
        if not isinstance(webhooks, Mapping) or "default" in webhooks:
            return tree
        rest = {key: value for key, value in tree.items() if key != "webhook"}
        return {**rest, "webhooks": {**webhooks, "default": tree["webhook"]}}

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        known = {*CHANNELS, *self.webhooks}
        faults = {
            f"routing[{place}].channels": f"{channel!r} is no channel and no entry of webhooks"
            for place, route in enumerate(self.routing)
            for channel in route.channels
            if channel not in known
        }
        if faults:
            raise Faults(faults)
        return self
