"""Any HTTP endpoint: ours as JSON, or in the words of OpsGenie, ServiceNow, Teams, CloudEvents."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import httpx

from policy.alerting.alert import Message
from policy.settings.channels import Webhook
from tasks.channels.base import MessageRefused
from tasks.channels.http import Answer, Request, address, ask, revealed, secret, secrets_of
from tasks.channels.templates import TEMPLATES, Templated

TIMESTAMP: Final = "X-Mlo-Timestamp"
SIGNATURE: Final = "X-Mlo-Signature"
_NOT_FOUND, _SERVER_ERROR = 404, 500


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WebhookChannel:
    """One entry of `alerting.webhooks`."""

    name: str
    url: str
    method: str
    headers: Mapping[str, str]
    template: Callable[[Message], Templated | None]
    secret: str | None
    timeout_seconds: float
    clock: Callable[[], datetime]
    takes_many: bool = False
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Send each; a webhook reaches whom it reaches, `address` says nothing to it."""
        del address
        reference = None
        for message in messages:
            templated = self.template(message)
            if templated is None:
                continue  # the service has no word for it; the template says why
            changes = templated.method is not None
            allow = [_NOT_FOUND] if changes else []
            answer = await self._ask(self._request(templated), allow=allow)
            if answer.status == _NOT_FOUND:
                raise MessageRefused(f"{self._key}: what this message is to change is gone")
            if templated.reference is not None:
                reference = templated.reference(answer.text)
        return reference

    async def check(self) -> None:
        """Ask what may be asked there: it proves the network and TLS, and disturbs nobody.

        Whether the key is right only a message can tell.
        """
        request = Request(url=self.url, method="OPTIONS", content=b"", headers=self.headers)
        await self._ask(request, allow=range(300, _SERVER_ERROR))

    @property
    def _key(self) -> str:
        return f"alerting.webhooks.{self.name}"

    async def _ask(self, request: Request, *, allow: Collection[int] = ()) -> Answer:
        return await ask(
            request,
            key=self._key,
            timeout_seconds=self.timeout_seconds,
            secrets=[*self.headers.values(), *secrets_of(self.url), self.secret or ""],
            allow=allow,
        )

    def _request(self, templated: Templated) -> Request:
        content = json.dumps(templated.body, ensure_ascii=False).encode(errors="replace")
        # By name, whatever its capitals: a header is sent once, and the operator's word wins.
        headers = httpx.Headers({"Content-Type": templated.content_type, **self._signed(content)})
        headers.update(self.headers)
        return Request(
            url=self.url if templated.path is None else _below(self.url, templated.path),
            method=templated.method or self.method,
            content=content,
            headers=headers,
        )

    def _signed(self, content: bytes) -> dict[str, str]:
        if self.secret is None:
            return {}
        stamp = str(int(self.clock().timestamp()))
        digest = hmac.new(self.secret.encode(), f"{stamp}.".encode() + content, sha256)
        return {TIMESTAMP: stamp, SIGNATURE: f"sha256={digest.hexdigest()}"}


def webhook_channel(
    settings: Webhook, *, name: str, clock: Callable[[], datetime]
) -> WebhookChannel:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    key = f"alerting.webhooks.{name}"
    return WebhookChannel(
        name=name,
        url=address(settings.url, key=f"{key}.url"),
        method=settings.method,
        headers=revealed(settings.headers, key=f"{key}.headers"),
        template=TEMPLATES[settings.template],
        secret=None if settings.secret is None else secret(settings.secret, key=f"{key}.secret"),
        timeout_seconds=settings.timeout.total_seconds(),
        clock=clock,
    )


def _below(url: str, path: str) -> str:
    """The path below the address; what both ask for behind `?` is one query."""
    base, _, query = url.partition("?")
    below, _, more = path.partition("?")
    asked = "&".join(filter(None, (query, more)))
    return f"{base.rstrip('/')}/{below}{'?' if asked else ''}{asked}"
