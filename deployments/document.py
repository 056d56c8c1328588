"""Serve the runtime file over HTTP, to Mimir processes that read it as a URL.

A process of its own when it is run as a module; it needs nothing but the file, so limits are
served while everything else of ours is down. What cannot be read is never answered with nothing:
Mimir takes an empty file for "no overrides at all". The last good content is served instead, or
503 where there was none; only where no document has ever been written is one without limits.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn

DOCUMENT_PATH: Final = "/runtime-config/overrides.yaml"
WITHOUT_LIMITS: Final = b"overrides: {}\n"
CONTENT_TYPE: Final = "application/yaml; charset=utf-8"

Message = MutableMapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]


@dataclass(slots=True)
class ServedDocument:
    """An ASGI application with one page: the file of `path`, named by the hash of its content."""

    path: Path
    _last_good: bytes | None = field(default=None, init=False)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        await receive()
        asked = [value.decode("latin-1") for key, value in scope["headers"] if key == _IF_NONE]
        status, headers, body = self.answer(scope["method"], path=scope["path"], known=asked)
        raw = [(key.encode(), value.encode()) for key, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown})

    def answer(self, method: str, *, path: str, known: Iterable[str] = ()) -> Answer:
        """Status, headers and body.

        Args:
            method: GET or HEAD; all others are refused.
            path: what is asked for.
            known: the values of If-None-Match.
        """
        if path != DOCUMENT_PATH:
            return _said(404, f"only {DOCUMENT_PATH} is served here\n")
        if method not in {"GET", "HEAD"}:
            return _said(405, "this document is only read here\n", Allow="GET, HEAD")
        document = self._document()
        if document is None:
            return _said(503, f"{self.path} cannot be read, or is empty\n")
        tag = f'"{hashlib.sha256(document).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if _names(known, tag=tag):
            return 304, headers, b""
        length = str(len(document))
        return 200, {**headers, "Content-Type": CONTENT_TYPE, "Content-Length": length}, document

    def _document(self) -> bytes | None:
        try:
            found = self.path.read_bytes()
        except FileNotFoundError:
            return self._last_good or (None if self._was_written() else WITHOUT_LIMITS)
        except OSError:
            return self._last_good
        if found.strip():
            self._last_good = found
        return self._last_good

    def _was_written(self) -> bool:
        """Whether a document must have been here: the folder is away, or the writer's lock is."""
        target = self.path.resolve()
        return not target.parent.is_dir() or target.with_name(f".{target.name}.lock").exists()


_IF_NONE: Final = b"if-none-match"


def _names(known: Iterable[str], *, tag: str) -> bool:
    tags = {one.strip().removeprefix("W/") for value in known for one in value.split(",")}
    return bool(tags & {tag, "*"})


def _said(status: int, text: str, **headers: str) -> Answer:
    body = text.encode()
    plain = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    return status, plain | headers, body


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a file until told to end: `python -m deployments.document FILE HOST PORT`."""
    parser = argparse.ArgumentParser(description="Serve a runtime file to Mimir.")
    parser.add_argument("file", type=Path)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    asked = parser.parse_args(arguments)
    uvicorn.run(
        ServedDocument(asked.file),
        host=asked.host,
        port=asked.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
