"""Keep an answer packed as it came, and unpack it where it is read.

A metrics page packs to a twentieth, so pages that wait to be read cost little. Only what was
asked for is unpacked, and no more than a page can be: a few packed bytes may claim gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx
import zstandard
from zlib_ng import zlib_ng

from tasks.exposition import UnreadablePage

MOST_TEXT_BYTES: Final = 512 * 2**20

_TOO_BIG: Final = f"the page unpacks to {MOST_TEXT_BYTES >> 20} MiB or more"
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_SIZE_BYTES: Final = 4  # at the end of gzip: how much text it holds, modulo 4 GiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The body of an answer as it came; `encoding` is its Content-Encoding, '' for none."""

    body: bytes
    encoding: str


async def packed(response: httpx.Response) -> Packed:
    """The answer read to its end, still packed.

    Raises:
        httpx.HTTPError: it could not be read.
    """
    if response.is_stream_consumed:  # by a transport that had the answer at hand, and unpacked it
        return Packed(body=response.content, encoding="")
    body = b"".join([part async for part in response.aiter_raw()])
    return Packed(body=body, encoding=response.headers.get("Content-Encoding", "").strip().lower())


def text_size(answer: Packed) -> int:
    """About how many bytes it unpacks to, never less than it has."""
    said = 0
    if answer.encoding in _GZIP:
        said = int.from_bytes(answer.body[-_SIZE_BYTES:], "little")
    return max(len(answer.body), said)


def unpacked(answer: Packed) -> bytes:
    """The text of the answer.

    Raises:
        UnreadablePage: it is packed in a way nobody asked for, broken, cut short or too big.
    """
    if answer.encoding in {"", "identity"}:
        return answer.body
    if answer.encoding in _GZIP:
        return _gunzipped(answer.body)
    if answer.encoding == "zstd":
        return _unzstd(answer.body)
    raise UnreadablePage(f"the page is packed as {answer.encoding}, which was not asked for")


def _gunzipped(body: bytes) -> bytes:
    texts: list[bytes] = []
    room_bytes = MOST_TEXT_BYTES
    while body:  # gzip may come in several parts, one after the other
        unpacker = zlib_ng.decompressobj(zlib_ng.MAX_WBITS | 16)
        try:
            texts.append(unpacker.decompress(body, room_bytes))
        except zlib_ng.error as error:  # type: ignore[misc]  # a class, whatever its stub says
            raise UnreadablePage(f"the page could not be read: it is no gzip ({error})") from error
        room_bytes -= len(texts[-1])
        if room_bytes <= 0:
            raise UnreadablePage(_TOO_BIG)
        if not unpacker.eof:
            raise UnreadablePage("the page is cut short: its gzip has no end")
        body = unpacker.unused_data
    return b"".join(texts)


def _unzstd(body: bytes) -> bytes:
    unpacker = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
    try:
        text = unpacker.read(MOST_TEXT_BYTES)
    except zstandard.ZstdError as error:
        raise UnreadablePage(f"the page could not be read: it is no zstd ({error})") from error
    if len(text) == MOST_TEXT_BYTES:
        raise UnreadablePage(_TOO_BIG)
    return text
