"""Alertmanager, API v2: every replica is told, and told again before it forgets.

An Alertmanager takes an alert for over when nobody has repeated it for a while. So what lasts is
sent again at each `RESENT_EVERY`, and says that it holds for longer than that. An incident that
becomes critical is another alert there, because routes go by the label `severity`; the one before
is over by itself once it is not repeated.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policy.alerting.alert import SEVERITY_OF, Message
from policy.alerting.payload import key_of, timestamp
from policy.alerting.words import cut, facts, one_line
from policy.settings.channels import Alertmanager
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused
from tasks.channels.http import Request, ask, revealed

NAME: Final = "alertmanager"
KEY: Final = "alerting.alertmanager"
RESENT_EVERY: Final = timedelta(minutes=1)
HOLDS_FOR: Final = timedelta(minutes=5)
_LABEL, _ANNOTATION = 500, 4_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AlertmanagerChannel:
    """All replicas of one Alertmanager; told is what one of them took."""

    urls: tuple[str, ...]
    headers: Mapping[str, str]
    timeout_seconds: float
    clock: Callable[[], datetime]
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = RESENT_EVERY

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Send all of them to every replica; `address` says nothing to it."""
        del address
        now = self.clock()
        body = json.dumps([_alert(message, now=now) for message in messages], ensure_ascii=False)
        content = body.encode(errors="replace")
        headers = {"Content-Type": "application/json", **self.headers}
        await self._of_all("/api/v2/alerts", method="POST", content=content, headers=headers)
        return None

    async def check(self) -> None:
        """Ask every replica whether it is ready; one is enough."""
        await self._of_all("/-/ready", method="GET", content=b"", headers=self.headers)

    async def _of_all(
        self, path: str, *, method: str, content: bytes, headers: Mapping[str, str]
    ) -> None:
        answers = await asyncio.gather(
            *(
                ask(
                    Request(url=f"{url}{path}", method=method, content=content, headers=headers),
                    key=KEY,
                    timeout_seconds=self.timeout_seconds,
                    secrets=list(self.headers.values()),
                )
                for url in self.urls
            ),
            return_exceptions=True,
        )
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(failed) < len(self.urls):
            for problem in failed:
                _log.warning("%s; another replica has it", problem)
            return
        # The one that gives most hope: it may pass by itself.
        for kind in (ChannelUnavailable, MessageRefused, ChannelMisconfigured):
            for exc in failed:
                if isinstance(exc, kind):
                    raise exc
        raise failed[0]


def alertmanager_channel(
    settings: Alertmanager, *, clock: Callable[[], datetime]
) -> AlertmanagerChannel:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    if not settings.urls:
        raise ChannelMisconfigured(f"{KEY}.urls names no Alertmanager")
    return AlertmanagerChannel(
        urls=settings.urls,
        headers=revealed(settings.headers, key=f"{KEY}.headers"),
        timeout_seconds=settings.timeout.total_seconds(),
        clock=clock,
    )


def _alert(message: Message, *, now: datetime) -> dict[str, object]:
    """What routes go by, and hardly changes, is a label; everything else is an annotation."""
    alert = message.alert
    # Alertmanager refuses what ends before it starts, as two clocks may have it.
    ends = max(now, message.opened_at) if message.state == "resolved" else now + HOLDS_FOR
    labels = {
        "alertname": "MimirLimitOptimizer",
        "incident": key_of(alert.incident, most=_LABEL),
        "severity": SEVERITY_OF[message.priority],
        "component": alert.component,
        "cluster": cut(one_line(message.cluster), _LABEL),
        "tenant": cut(one_line(alert.tenant or ""), _LABEL),
        "team": cut(one_line(message.team or ""), _LABEL),
    }
    annotations = {
        "summary": cut(one_line(alert.title), _ANNOTATION),
        "description": cut(one_line(alert.reason), _ANNOTATION),
        "kind": alert.kind,
        "priority": message.priority,
        "runbook_url": message.runbook_url or "",
        "dry_run": "yes" if alert.simulated else "",
        **{f"evidence {at}": f"{name}: {value}" for at, (name, value) in enumerate(facts(message))},
    }
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {
            name.replace(" ", "_"): value for name, value in annotations.items() if value
        },
        "startsAt": timestamp(message.opened_at),
        "endsAt": timestamp(ends),
        "generatorURL": message.run_url or "",
    }
