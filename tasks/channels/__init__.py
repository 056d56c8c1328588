"""The channels: one module each, behind the protocol of `tasks.channels.base`.

A channel that cannot be built from its settings is off, with a line that says why; the others go
on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter

from policy.alerting.routing import ALERTMANAGER, EMAIL, PAGERDUTY, SLACK, enabled
from policy.settings.alerting import Alerting
from policy.settings.channels import Alertmanager, Apprise, Email, PagerDuty, Slack, Webhook
from tasks.channels.alertmanager import alertmanager_channel
from tasks.channels.apprise_service import apprise_channel
from tasks.channels.base import Channel, ChannelMisconfigured
from tasks.channels.email import email_channel
from tasks.channels.pagerduty import pagerduty_channel
from tasks.channels.slack import slack_channel
from tasks.channels.webhook import webhook_channel

Service = Slack | PagerDuty | Email | Alertmanager | Webhook | Apprise
Build = Callable[[], Channel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An enabled channel.

    Attributes:
        name: as `Channel.name`.
        settings: the section that it was built from; another one is another channel.
        channel: None: it cannot be used.
        problem: why not.
    """

    name: str
    settings: Service
    channel: Channel | None
    problem: str | None = None


def lines_of(alerting: Alerting, *, clock: Callable[[], datetime]) -> tuple[Line, ...]:
    """Every channel that the settings enable, in the order of their names."""
    on = enabled(alerting)
    return tuple(
        _line(name, settings=section, build=build)
        for name, section, build in sorted(_known(alerting, clock=clock), key=itemgetter(0))
        if name in on
    )


def _known(
    alerting: Alerting, *, clock: Callable[[], datetime]
) -> Iterator[tuple[str, Service, Build]]:
    """Every channel that there is a word for: its name, its settings, its maker."""
    yield SLACK, alerting.slack, lambda: slack_channel(alerting.slack)
    yield PAGERDUTY, alerting.pagerduty, lambda: pagerduty_channel(alerting.pagerduty)
    yield EMAIL, alerting.email, lambda: email_channel(alerting.email)
    yield (
        ALERTMANAGER,
        alerting.alertmanager,
        lambda: alertmanager_channel(alerting.alertmanager, clock=clock),
    )
    for name, hook in alerting.webhooks.items():
        yield name, hook, partial(webhook_channel, hook, name=name, clock=clock)
    for name, service in alerting.apprise.items():
        yield name, service, partial(apprise_channel, service, name=name)


def _line(name: str, *, settings: Service, build: Build) -> Line:
    try:
        channel = build()
    except ChannelMisconfigured as exc:
        return Line(name=name, settings=settings, channel=None, problem=str(exc))
    return Line(name=name, settings=settings, channel=channel)
