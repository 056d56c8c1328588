"""E-mail over SMTP, within TLS unless the settings say otherwise."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from policy.alerting.alert import Message
from policy.alerting.mail import mail
from policy.alerting.words import excerpt
from policy.settings.channels import Email
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused

NAME: Final = "email"
KEY: Final = "alerting.email"
IMPLICIT_TLS: Final = 465
SENDER_NAME: Final = "Mimir Limit Optimizer"
_LATER, _FOR_GOOD = 400, 500
_MANY: Final = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChannel:
    """A mail server, and whom it tells."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    sender: str
    to: tuple[str, ...]
    use_tls: bool
    timeout_seconds: float
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    name: str = NAME
    takes_many: bool = True
    resends_every: timedelta | None = None

    async def send(self, messages: Sequence[Message], *, address: str | None) -> str | None:
        """Send one mail; `address` names other mailboxes than the settings, apart by commas."""
        to = self._mailboxes(address)
        try:
            letter = mail(messages, sender=self.sender, to=to, name=SENDER_NAME)
        except ValueError as exc:
            raise ChannelMisconfigured(f"{KEY}: an address is none: {excerpt(str(exc))}") from None

        def work(server: smtplib.SMTP) -> None:
            # Whoever was not refused has it: telling all of them again would not mend it.
            server.send_message(letter, from_addr=self.sender, to_addrs=list(to))

        await asyncio.to_thread(self._talk, work)
        return None

    async def check(self) -> None:
        """Go as far as a mail goes before its first word: it proves the sender, too."""

        def work(server: smtplib.SMTP) -> None:
            _refuse(server.mail(self.sender))
            _refuse(server.rcpt(self.to[0]))
            _refuse(server.docmd("RSET"))

        await asyncio.to_thread(self._talk, work)

    def _mailboxes(self, address: str | None) -> tuple[str, ...]:
        if address is None:
            return self.to
        return tuple(each.strip() for each in address.split(_MANY) if each.strip())

    def _talk(self, work: Callable[[smtplib.SMTP], None]) -> None:
        with self._in_our_words(), self._server() as server:
            work(server)

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        """A connection that is safe and logged in; it is closed whatever happens."""
        seconds = self.timeout_seconds
        if self.use_tls and self.port == IMPLICIT_TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=seconds, context=self.tls()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=seconds)
        try:
            if self.use_tls and self.port != IMPLICIT_TLS:
                server.starttls(context=self.tls())
            if self.username is not None:
                server.login(self.username, self.password or "")
            yield server
        finally:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        where = f"{KEY}: {self.host}:{self.port}"
        try:
            yield
        except smtplib.SMTPNotSupportedError as exc:
            raise ChannelMisconfigured(
                f"{where} offers no {'login' if 'AUTH' in str(exc).upper() else 'STARTTLS'}: "
                "correct smtpPort, or set useTls or username to what it offers"
            ) from None
        except ssl.SSLError as exc:
            reason = getattr(exc, "verify_message", None) or exc.reason or "no TLS"
            raise ChannelMisconfigured(
                f"{where} does not prove who it is ({excerpt(str(reason))}): correct smtpHost, or "
                "trust its certificate"
            ) from None
        except smtplib.SMTPRecipientsRefused as exc:
            codes = [code for code, _ in exc.recipients.values()]
            raise self._answered(min(codes), _of(exc), where=where) from None
        except smtplib.SMTPResponseException as exc:
            raise self._refused(exc, where=where) from None
        except TimeoutError:
            raise ChannelUnavailable(
                f"{where} did not answer in {self.timeout_seconds:g}s", timeout=True
            ) from None
        except (smtplib.SMTPException, OSError) as exc:
            raise ChannelUnavailable(f"{where} cannot be reached: {type(exc).__name__}") from None

    def _refused(
        self, exc: smtplib.SMTPResponseException, *, where: str
    ) -> ChannelMisconfigured | ChannelUnavailable | MessageRefused:
        for_good = exc.smtp_code >= _FOR_GOOD
        if for_good and isinstance(exc, smtplib.SMTPAuthenticationError):
            return ChannelMisconfigured(
                f"{where} does not take this username and password ({exc.smtp_code})"
            )
        if for_good and isinstance(exc, smtplib.SMTPSenderRefused):
            said = self._excerpt(exc.smtp_error)
            return ChannelMisconfigured(
                f"{where} does not let {self.sender} send ({exc.smtp_code} {said}): correct "
                f"{KEY}.from"
            )
        return self._answered(exc.smtp_code, exc.smtp_error, where=where)

    def _answered(
        self, code: int, said: object, *, where: str
    ) -> ChannelUnavailable | MessageRefused:
        line = f"{where} answered {code} {self._excerpt(said)}"
        return MessageRefused(line) if code >= _FOR_GOOD else ChannelUnavailable(line)

    def _excerpt(self, said: object) -> str:
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return excerpt(text, secrets=[self.password or ""])


def email_channel(settings: Email) -> EmailChannel:
    """The channel that the settings describe.

    Raises:
        ChannelMisconfigured: they are not enough.
    """
    sender = settings.sender or settings.username
    for value, name in (
        (settings.smtp_host, "smtpHost"),
        (sender, "from"),
        (settings.to, "to"),
    ):
        if not value:
            raise ChannelMisconfigured(f"{KEY}.{name} is not set")
    password = settings.password.get_secret_value().strip() if settings.password else None
    return EmailChannel(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        username=settings.username,
        password=password,
        sender=sender or "",
        to=settings.to,
        use_tls=settings.use_tls,
        timeout_seconds=settings.timeout.total_seconds(),
    )


def _refuse(answer: tuple[int, bytes]) -> None:
    code, said = answer
    if code >= _LATER:
        raise smtplib.SMTPResponseException(code, said)


def _of(refused: smtplib.SMTPRecipientsRefused) -> str:
    return "; ".join(
        f"{mailbox}: {said.decode(errors='replace')}"
        for mailbox, (_, said) in refused.recipients.items()
    )
