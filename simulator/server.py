"""Serve the simulated cluster on loopback, one path prefix per process.

It listens on 127.0.0.1 only. Requests are answered one at a time, because they share the
cluster; rendering a page takes a millisecond or so.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final

from simulator.cluster import Cluster
from simulator.errors import SimulatorError
from simulator.routes import Answer, Request, respond

_HOST: Final = "127.0.0.1"
_MAX_BODY_BYTES: Final = 65_536
_POLL_SECONDS: Final = 0.1


class Server(ThreadingHTTPServer):
    """The cluster behind a port; port 0 takes any free one.

    Raises:
        SimulatorError: the port is in use.
    """

    daemon_threads = True
    # A scrape asks every process at once; who finds the queue full tries again after a second.
    request_queue_size = 128

    def __init__(self, cluster: Cluster, *, port: int) -> None:
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as exc:
            raise SimulatorError(
                f"cannot listen on {_HOST}:{port}: {exc}; give another --port"
            ) from exc
        self._cluster = cluster
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens; a process's base URL is this, a slash and the process's name."""
        return f"http://{_HOST}:{self.server_address[1]}"

    @property
    def now(self) -> float:
        """The time of the cluster, seconds since the epoch."""
        return self._cluster.now

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        with self._lock:
            return respond(self._cluster, request)

    def tick(self) -> None:
        """Let the cluster live on, so that it reads its files in time."""
        with self._lock:
            self._cluster.advance()

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is not worth a traceback."""


@contextmanager
def running(cluster: Cluster, *, port: int = 0) -> Iterator[Server]:
    """Serve from a thread until the block ends.

    Raises:
        SimulatorError: the port is in use.
    """
    server = Server(cluster, port=port)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    # Headers and body leave in one packet, or the client's delayed acknowledgement costs 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 75

    def do_GET(self) -> None:
        """Answer with a page."""
        self._serve(b"")

    def do_POST(self) -> None:
        """Obey an order."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Answer(status=400, body="a body of at most 64 KiB is needed\n"))
            return
        self._serve(self.rfile.read(int(length)))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time of the cluster, as the Date of its answers."""
        return super().date_time_string(self.server.now if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: a page a second is not news."""

    def _serve(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(
            self.server.answer(
                Request(path=path, method=self.command, query=query, headers=headers, body=body)
            )
        )

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
