"""E-mail over SMTP, within TLS unless the settings say otherwise."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from policy.alerting.alert import Message
from policy.alerting.mail import mail, mailbox
from policy.alerting.words import excerpt
from policy.settings.channels import Email
from tasks.channels.base import ChannelMisconfigured, ChannelUnavailable, MessageRefused

NAME: Final = "email"
KEY: Final = "alerting.email"
IMPLICIT_TLS: Final = 465
SENDER_NAME: Final = "Mimir Limit Optimizer"
_LATER, _FOR_GOOD = 400, 500
_MANY: Final = ","
_FAREWELL_SECONDS: Final = 1.0  # by then the mail is taken, or never will be
_SLACK_SECONDS: Final = 2.0  # beyond the time-out, which is of each silence, for all of a mail

_log = logging.getLogger(__name__)


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
        try:
            to = self._mailboxes(address)
        except ValueError as exc:
            # Only who is routed there is not reached: the channel works for everybody else.
            raise MessageRefused(f"{KEY}: a route names {exc}") from None
        letter = mail(messages, sender=self.sender, to=to, name=SENDER_NAME)

        def work(server: smtplib.SMTP) -> None:
            refused = server.send_message(letter, from_addr=self.sender, to_addrs=list(to))
            if refused:
                # Whoever was not refused has it: telling all of them again would not mend it.
                said = self._excerpt(_each(refused))
                _log.warning("%s: told all but %d of %d: %s", KEY, len(refused), len(to), said)

        await asyncio.to_thread(self._talk, work)
        return None

    async def check(self) -> None:
        """Go as far as a mail goes before its first word: it proves the sender, too."""

        def work(server: smtplib.SMTP) -> None:
            server.ehlo_or_helo_if_needed()
            code, said = server.mail(self.sender)
            if code >= _LATER:
                raise smtplib.SMTPSenderRefused(code, said, self.sender)
            _refuse(server.rcpt(self.to[0]))
            _refuse(server.docmd("RSET"))

        await asyncio.to_thread(self._talk, work)

    def _mailboxes(self, address: str | None) -> tuple[str, ...]:
        if address is None:
            return self.to
        return tuple(mailbox(each) for each in address.split(_MANY))

    def _talk(self, work: Callable[[smtplib.SMTP], None]) -> None:
        with self._in_our_words(), self._server() as server:
            work(server)

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        """A connection that is safe and logged in; it is closed whatever happens."""
        seconds, server = self.timeout_seconds, self._connected()
        try:
            if self.use_tls and self.port != IMPLICIT_TLS:
                server.starttls(context=self.tls())
            if self.username is not None:
                server.login(self.username, self.password or "")
            yield server
        finally:
            with suppress(smtplib.SMTPException, OSError):
                if server.sock is not None:
                    server.sock.settimeout(min(seconds, _FAREWELL_SECONDS))
                server.quit()
            server.close()

    def _connected(self) -> smtplib.SMTP:
        if self.use_tls and self.port == IMPLICIT_TLS:
            return _BoundedTls(
                self.host, self.port, timeout=self.timeout_seconds, context=self.tls()
            )
        return _Bounded(self.host, self.port, timeout=self.timeout_seconds)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        where, began = f"{KEY}: {self.host}:{self.port}", monotonic()
        try:
            yield
        except smtplib.SMTPNotSupportedError as exc:
            lacks = next((word for word in ("AUTH", "SMTPUTF8") if word in str(exc)), "STARTTLS")
            raise ChannelMisconfigured(
                f"{where} offers no {lacks}: correct smtpPort, or set useTls, username or the "
                "mailboxes to what it offers"
            ) from None
        except ssl.SSLError as exc:
            raise _insecure(exc, where=where) from None
        except smtplib.SMTPRecipientsRefused as exc:
            codes = [code for code, _ in exc.recipients.values()]
            raise self._answered(min(codes), _each(exc.recipients), where=where) from None
        except smtplib.SMTPDataError as exc:
            raise self._answered(exc.smtp_code, exc.smtp_error, where=where) from None
        except smtplib.SMTPResponseException as exc:
            raise self._unfit(exc, where=where) from None
        except socket.gaierror as exc:
            raise _unknown(exc, where=where) from None
        except OSError as exc:
            # What smtplib does not name more closely: no kind of login is known to both.
            if type(exc) is smtplib.SMTPException:
                line = f"{where} offers no login that is known here"
                raise ChannelMisconfigured(line) from None
            raise self._gone(exc, where=where, seconds=monotonic() - began) from None

    def _gone(self, exc: OSError, *, where: str, seconds: float) -> ChannelUnavailable:
        # smtplib tells silence as a lost connection; what it met is beneath.
        silent = isinstance(exc, TimeoutError) or isinstance(exc.__context__, TimeoutError)
        if silent or seconds > self.timeout_seconds + _SLACK_SECONDS:
            line = f"{where} did not answer in {self.timeout_seconds:g}s"
            return ChannelUnavailable(line, timeout=True)
        return ChannelUnavailable(f"{where} cannot be reached: {type(exc).__name__}")

    def _unfit(
        self, exc: smtplib.SMTPResponseException, *, where: str
    ) -> ChannelMisconfigured | ChannelUnavailable:
        """What a server answers before it has heard of the mail: no mail is to blame for it."""
        if exc.smtp_code < 0:
            return ChannelUnavailable(f"{where} does not speak SMTP")
        answer = f"{exc.smtp_code} {self._excerpt(exc.smtp_error)}"
        if exc.smtp_code < _FOR_GOOD:
            return ChannelUnavailable(f"{where} answered {answer}")
        if isinstance(exc, smtplib.SMTPAuthenticationError):
            return ChannelMisconfigured(
                f"{where} does not take this username and password ({exc.smtp_code})"
            )
        if isinstance(exc, smtplib.SMTPSenderRefused):
            return ChannelMisconfigured(
                f"{where} does not let {self.sender} send ({answer}): correct {KEY}.from"
            )
        return ChannelMisconfigured(f"{where} takes no mail from here: {answer}")

    def _answered(
        self, code: int, said: object, *, where: str
    ) -> ChannelUnavailable | MessageRefused:
        line = f"{where} answered {code} {self._excerpt(said)}"
        return MessageRefused(line) if code >= _FOR_GOOD else ChannelUnavailable(line)

    def _excerpt(self, said: object) -> str:
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return excerpt(text, secrets=[self.password or ""])


class _Bounded(smtplib.SMTP):
    """A conversation that ends in time, though the other side says a character now and then.

    The time-out of a socket begins anew with each character; a thread that listens for ever would
    keep the run from ending.
    """

    _ends: threading.Timer | None = None

    def connect(self, *args: Any, **named: Any) -> tuple[int, bytes]:  # noqa: ANN401 - smtplib's
        self._ends = threading.Timer(self.timeout + _SLACK_SECONDS, self._cut)
        self._ends.daemon = True
        self._ends.start()
        return super().connect(*args, **named)

    def close(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError):
            if self.sock is not None:
                # Not that of TLS, which would say farewell first.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


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
    for word, name in ((settings.username, "username"), (password, "password")):
        if not (word or "").isascii():
            raise ChannelMisconfigured(f"{KEY}.{name} holds what is not ASCII: no login takes it")
    try:
        (settings.smtp_host or "").encode("idna")
    except UnicodeError:
        raise ChannelMisconfigured(f"{KEY}.smtpHost is no name of a host; correct it") from None
    try:
        sender, to = mailbox(sender or ""), tuple(mailbox(each) for each in settings.to)
    except ValueError as exc:
        raise ChannelMisconfigured(f"{KEY} names {exc}; correct it") from None
    return EmailChannel(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        username=settings.username,
        password=password,
        sender=sender,
        to=to,
        use_tls=settings.use_tls,
        timeout_seconds=settings.timeout.total_seconds(),
    )


def _refuse(answer: tuple[int, bytes]) -> None:
    code, said = answer
    if code >= _LATER:
        raise smtplib.SMTPResponseException(code, said)


def _each(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(
        f"{mailbox}: {code} {said.decode(errors='replace')}"
        for mailbox, (code, said) in refused.items()
    )


def _insecure(exc: ssl.SSLError, *, where: str) -> ChannelMisconfigured | ChannelUnavailable:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return ChannelMisconfigured(
            f"{where} does not prove who it is ({excerpt(exc.verify_message)}): correct smtpHost, "
            "or trust its certificate"
        )
    return ChannelUnavailable(f"{where} broke off TLS: {excerpt(exc.reason or 'no reason given')}")


def _unknown(exc: socket.gaierror, *, where: str) -> ChannelMisconfigured | ChannelUnavailable:
    if exc.errno == socket.EAI_AGAIN:
        return ChannelUnavailable(f"{where} cannot be looked up now")
    return ChannelMisconfigured(f"{where} is not known: correct smtpHost")
