"""A server on this machine that answers as a test tells it to, and keeps what it got."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """An answer.

    `hangs`: none until the server ends; `resets`: the connection is cut; `drips`: the body never
    ends, and comes a byte at a time; `raw`: these bytes in place of HTTP.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    resets: bool = False
    drips: bool = False
    raw: bytes | None = None


Answers = Callable[[Got], Says]


@dataclass(slots=True, kw_only=True)
class Receiver:
    """What a test speaks to.

    Attributes:
        url: of the server.
        answer: what it says, by the request; a test may change it at any time.
        got: what came so far.
    """

    url: str
    answer: Answers
    got: list[Got] = field(default_factory=list)

    def says(self, status: int = 200, body: bytes = b"ok", **headers: str) -> None:
        """Answer everything so from now on; `Retry_After` is the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: Says(status=status, body=body, headers=named)


@contextmanager
def receiving(answer: Answers = lambda _: Says()) -> Iterator[Receiver]:
    """A receiver that is ended with the block, whoever still waits for an answer."""
    ended = threading.Event()
    receiver = Receiver(url="", answer=answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            got = Got(
                method=self.command,
                path=self.path,
                headers=dict(self.headers.items()),
                body=self.rfile.read(length),
            )
            receiver.got.append(got)
            says = receiver.answer(got)
            self.close_connection = True
            if says.hangs:
                ended.wait()
                return
            if says.resets:
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                return
            if says.raw is not None:
                self.wfile.write(says.raw)
                return
            self.send_response(says.status)
            for name, value in says.headers.items():
                self.send_header(name, value)
            length = 1_000_000 if says.drips else len(says.body)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            while says.drips and not ended.wait(0.05):
                self.wfile.write(b"x")
            self.wfile.write(says.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - their names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A connection that was cut is what the test wants."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            ended.set()
            server.shutdown()
            thread.join()
