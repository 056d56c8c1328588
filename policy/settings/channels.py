"""The channels over which people and other systems are told, each with its address.

A channel without its address is allowed here: a half-configured channel must not stop the
protection. What would identify us to others (hook addresses, keys, passwords, headers) is
secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from policy.settings.section import Section
from policy.settings.values import BaseUrl, Port, PositiveDuration, not_empty

Priority = Literal["P0", "P1", "P2", "P3"]
Template = Literal["json", "opsgenie", "servicenow", "teams", "cloudevents"]

_TIMEOUT: Final = timedelta(seconds=30)


class Slack(Section):
    """Slack: an incoming webhook, or a bot whose messages of one incident are a thread."""

    also_spelled: ClassVar[Mapping[str, str]] = {"webhook": "webhookURL"}

    enabled: bool = False
    webhook_url: Annotated[SecretStr | None, Field(alias="webhookURL")] = None
    bot_token: SecretStr | None = None
    """Wins over the webhook."""
    api_url: BaseUrl = "https://slack.com/api"
    channel: str = "#mimir-alerts"
    username: str = "Mimir Limit Optimizer"
    timeout: PositiveDuration = _TIMEOUT


class PagerDuty(Section):
    """An integration of PagerDuty's Events API v2."""

    enabled: bool = False
    integration_key: SecretStr | None = None
    url: BaseUrl = "https://events.pagerduty.com"
    priorities: Annotated[tuple[Priority, ...], AfterValidator(not_empty)] = ("P0", "P1")
    """What is sent there; everything else is not."""
    changes: bool = False
    """Whether published limits are sent as change events."""
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
    """TLS from the first byte on port 465, STARTTLS on any other."""
    timeout: PositiveDuration = _TIMEOUT


def _method(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Webhook(Section):
    """Any other HTTP endpoint."""

    enabled: bool = False
    url: SecretStr | None = None
    method: Annotated[Literal["POST", "PUT", "PATCH"], BeforeValidator(_method)] = "POST"
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    template: Template = "json"
    secret: SecretStr | None = None
    """Signs the body with HMAC-SHA256."""
    timeout: PositiveDuration = _TIMEOUT


class Alertmanager(Section):
    """Every replica of an Alertmanager, API v2."""

    enabled: bool = False
    urls: tuple[BaseUrl, ...] = ()
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout: PositiveDuration = _TIMEOUT


class Apprise(Section):
    """Any service that Apprise knows, by its address."""

    enabled: bool = False
    url: SecretStr | None = None
    timeout: PositiveDuration = _TIMEOUT
