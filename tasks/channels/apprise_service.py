"""Any service that Apprise knows: an entry of `alerting.apprise`. Its address holds the secrets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from policy.alerting.alert import Message
from policy.alerting.blocks import digest_title
from policy.alerting.words import cut, facts, headline, one_line
from policy.settings.channels import Apprise
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable
from tasks.channels.http import secret

if TYPE_CHECKING:
    from apprise import Apprise as Service

_TITLE, _BODY, _LISTED = 200, 3_000, 30
_TYPES: Final = {"P0": "failure", "P1": "failure", "P2": "warning", "P3": "info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseChannel:
    """One service."""

    name: str
    url: str = field(repr=False)
    timeout_seconds: float
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Send the message, or one list of several; `address` says nothing to it."""
        del address
        first = messages[0]
        resolved = first.state == "resolved"
        many = len(messages) > 1
        title = cut(digest_title(messages) if many else headline(first), _TITLE)
        body = _list(messages) if many else _text(first)
        service, sort = self._service(), "success" if resolved else _TYPES[first.priority]
        # Named as text, it is escaped for services that show HTML or Markdown.
        worked = await asyncio.to_thread(
            service.notify, body=body or title, title=title, notify_type=sort, body_format="text"
        )
        if not worked:
            # Apprise tells its log why, and nobody else; that log may hold the address.
            raise ChannelUnavailable(f"alerting.apprise.{self.name}: the service did not take it")
        return None

    async def check(self) -> None:
        """Read the address again: Apprise knows no way to try a service that tells nobody."""
        self._service()

    def _service(self) -> Service:
        return service_of(self.url, name=self.name, timeout_seconds=self.timeout_seconds)


def apprise_channel(settings: Apprise, *, name: str) -> AppriseChannel:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough, or Apprise is not installed.
    """
    key = f"alerting.apprise.{name}"
    channel = AppriseChannel(
        name=name,
        url=secret(settings.url, key=f"{key}.url"),
        timeout_seconds=settings.timeout.total_seconds(),
    )
    service_of(channel.url, name=name, timeout_seconds=channel.timeout_seconds)
    return channel


def service_of(url: str, *, name: str, timeout_seconds: float) -> Service:
    """What Apprise makes of the address.

    Raises:
        ChannelMisconfigured: nothing, or it is not installed.
    """
    key = f"alerting.apprise.{name}"
    try:
        import apprise  # noqa: PLC0415 - an extra of its own, and slow to import
    except ImportError:
        raise ChannelMisconfigured(
            f"{key}: Apprise is not installed; install the extra `apprise`"
        ) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    plugin = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is None:
        raise ChannelMisconfigured(f"{key}.url is no address that Apprise knows; correct it")
    plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout_seconds
    plugin.retry = 0  # one try; the outbox knows when the next one is due
    return apprise.Apprise(plugin)


def _text(message: Message) -> str:
    lines = [one_line(message.alert.reason), ""]
    lines += [f"{name}: {value}" for name, value in facts(message)]
    links = (("run", message.run_url), ("what to do", message.runbook_url))
    lines += [f"{name}: {url}" for name, url in links if url]
    return cut("\n".join(lines).strip(), _BODY)


def _list(messages: Sequence[Message]) -> str:
    lines = [f"- {headline(message)}" for message in messages[:_LISTED]]
    rest = len(messages) - len(lines)
    return cut("\n".join([*lines, *([f"… and {rest:,} more"] if rest else [])]), _BODY)
