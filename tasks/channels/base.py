"""What every channel can do, and the three ways in which it cannot.

A channel tries once; who may try again, and when, is not its business. It never logs or raises a
secret: neither an address with a key in it, nor a header, nor the text of a foreign answer beyond
what `policy.alerting.words.excerpt` leaves of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from policy.alerting.alert import Message
from policy.errors import ConfigError, RetriableError, SkippableError


class ChannelMisconfigured(ConfigError):  # noqa: N818 - named for what was met
    """The settings of the channel are wrong or incomplete: it is off until they change."""


class ChannelUnavailable(RetriableError):  # noqa: N818 - named for what was met
    """The service did not answer in time, is down, or asked for patience.

    Attributes:
        timeout: whether it was silence.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: float | None = None, timeout: bool = False
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.timeout = timeout


class MessageRefused(SkippableError):  # noqa: N818 - named for what was met
    """The service will never take this message; the channel itself works."""


class Channel(Protocol):
    """A way to tell somebody.

    Attributes:
        name: `slack`, `pagerduty`, `email`, `alertmanager`, or an entry of `webhooks`, `apprise`.
        takes_many: whether several messages may be told as one.
        resends_every: what lasts is to be told anew after that; None: once is enough.
    """

    @property
    def name(self) -> str:
        """Which channel it is."""

    @property
    def takes_many(self) -> bool:
        """Whether it tells several messages as one."""

    @property
    def resends_every(self) -> timedelta | None:
        """How often what lasts is told anew."""

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Tell them.

        Args:
            messages: one; several only where `takes_many`, of different incidents, to be told as
                one list.
            address: whom on this channel, where a route names it (`slack:#payments`); None: whom
                the settings of the channel name.

        Returns:
            What later messages of the incident are to refer to (`Message.thread`), or None.

        Raises:
            ChannelMisconfigured: nothing can be sent until the settings change.
            ChannelUnavailable: it may work later.
            MessageRefused: this message will never be taken.
        """

    async def check(self) -> None:
        """Try the way that a message takes, as far as that disturbs nobody.

        Raises:
            ChannelMisconfigured: nothing can be sent until the settings change.
            ChannelUnavailable: it may work later.
        """
