"""Mail servers on this machine: one that works, with TLS and a login, and one with a script."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tasks.channels.email import EmailChannel

USERNAME, PASSWORD = "mlo", "swordfish"
BREAKS = ""
"""A line of a script: the connection is reset."""
DRIPS = "250-"
"""A line of a script: an answer of which a character comes now and then, and never the end."""


@dataclass(slots=True, kw_only=True)
class Mailbox:
    """A mail server that works, and what it took.

    Attributes:
        port: on 127.0.0.1.
        ca: who vouches for its certificate.
        got: envelopes as they came.
        refuses: the answer to each mailbox that it does not take.
        commands: sender and recipients as they were named, whether or not a mail followed.
    """

    port: int = 0
    ca: trustme.CA
    got: list[Envelope] = field(default_factory=list)
    refuses: Mapping[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def trusting(self) -> ssl.SSLContext:
        """A context of a client that trusts this server."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def letters(self) -> list[EmailMessage]:
        """What came, parsed."""
        raw = [each.content for each in self.got]
        return [message_from_bytes(each, policy=WIRE) for each in raw if isinstance(each, bytes)]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        self.commands.append(f"MAIL {address}")
        envelope.mail_from = address
        return "250 ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        self.commands.append(f"RCPT {address}")
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.got.append(envelope)
        return "250 taken"


def channel(port: int, *, box: Mailbox | None = None, **of: Any) -> EmailChannel:  # noqa: ANN401 - of EmailChannel
    """A channel without TLS or login; with a `box`, with both."""
    plain: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "username": None if box is None else USERNAME,
        "password": None if box is None else PASSWORD,
        "sender": "mlo@example.com",
        "to": ("ops@example.com", "desk@example.com"),
        "use_tls": box is not None,
        "timeout_seconds": 5.0,
    }
    if box is not None:
        plain["tls"] = box.trusting
    return EmailChannel(**{**plain, **of})


@contextmanager
def mail_server(
    *, ca: trustme.CA, host: str = "127.0.0.1", plain: bool = False, implicit: bool = False
) -> Iterator[Mailbox]:
    """A server with STARTTLS and a login; `plain`: with neither; `implicit`: TLS from the start."""
    box = Mailbox(ca=ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(host).configure_cert(context)

    def known(*about: Any) -> AuthResult:  # noqa: ANN401 - server, session, envelope, mechanism, login
        login = about[-1]
        right = LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=login == right, handled=False)

    options: dict[str, Any] = {}
    if implicit:
        options = {"ssl_context": context}
    elif not plain:
        options = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": known,
        }
    controller = Controller(box, hostname="127.0.0.1", port=_free_port(), **options)
    controller.start()
    try:
        box.port = controller.port
        yield box
    finally:
        controller.stop()


@contextmanager
def scripted(answers: Mapping[str, str | None]) -> Iterator[int]:
    """A server without TLS that answers each verb as told; its port.

    Args:
        answers: by verb; `GREETING` is the first line, `.` the end of a mail; None: nothing, for
            ever; `BREAKS`: the connection is reset. All else is 250, of DATA 354.
    """
    usual = {"GREETING": "220 hello", "DATA": "354 go on", "QUIT": "221 bye"}
    script: dict[str, str | None] = {**usual, **answers}
    ended = threading.Event()

    def say(connection: socket.socket, verb: str) -> bool:
        line = script.get(verb, "250 ok")
        if line is None:
            ended.wait()
            return False
        if line == BREAKS:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        if line == DRIPS:
            connection.sendall(line.encode())
            while not ended.wait(0.05):
                connection.sendall(b".")
            return False
        connection.sendall(f"{line}\r\n".encode())
        return True

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            going, letter = say(connection, "GREETING"), False
            while going and (line := lines.readline()):
                if letter and line != b".\r\n":
                    continue
                verb = line.split()[0].decode().upper() if line.split() else ""
                going = say(connection, verb)
                letter = verb == "DATA" and (script[verb] or "").startswith("354")

    with _listening(serve) as port:
        try:
            yield port
        finally:
            ended.set()


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[threading.Thread] = []

    def guarded(connection: socket.socket) -> None:
        try:
            serve(connection)
        except OSError:
            return  # the client went away, as some tests want

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(threading.Thread(target=guarded, args=(connection,)))
            open_ones[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
