"""Having Go collect garbage, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from policy.settings import parse_settings
from tasks.garbage import force_gc

SETTINGS = parse_settings({"mimir": {"timeout": "2s"}})


@contextmanager
def process(status: int, asked: list[str]) -> Iterator[str]:
    """A process that answers each request with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/prefix/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_each_process_is_asked_for_its_profile_after_a_collection() -> None:
    asked: list[str] = []
    with process(200, asked) as url:
        answers = await force_gc({"ingester-0": url}, settings=SETTINGS)

    assert answers == {"ingester-0": None}
    assert asked == ["/prefix/debug/pprof/heap?gc=1"]


async def test_one_that_cannot_does_not_keep_the_others_from_it() -> None:
    asked: list[str] = []
    with process(404, asked) as closed, process(503, asked) as busy, process(200, asked) as open_:
        answers = await force_gc({"a": closed, "b": busy, "c": open_}, settings=SETTINGS)

    assert answers["a"] is not None
    assert "is not exposed" in answers["a"]
    assert answers["b"] is not None
    assert "503" in answers["b"]
    assert answers["c"] is None
