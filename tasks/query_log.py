"""Read a file of query logs, of any size, into what each tenant's queries used.

The lines may be plain, compressed by gzip, one JSON object each as `logcli -o jsonl` writes them,
or the answer of Loki's API. Plain files are read piece by piece; an answer of Loki is read whole,
because it is one JSON document.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import polars as pl

from policy.errors import ConfigError
from policy.frames import SAMPLES, empty
from policy.query_log import COUNTS, counted, merged, newest_peaks, peaks, queries_in, usage

PIECE_BYTES: Final = 32 * 2**20

_GZIP: Final = b"\x1f\x8b"
_LOOKED_AT_BYTES: Final = 4096
_OF_LOKI: Final = (b'"streams"', b'"resultType"')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryLog:
    """What a log tells.

    Attributes:
        usage: policy.query_log.USAGE.
        peaks: SAMPLES of the largest usage of each limit in each five minutes.
        lines: all lines that were read.
        queries: those that told of a query.
        broken: those that began to and could not be read.
    """

    usage: pl.DataFrame
    peaks: pl.DataFrame
    lines: int
    queries: int
    broken: int


def read_query_log(path: Path, *, piece_bytes: int = PIECE_BYTES) -> QueryLog:
    """Read the file; what is no line of a query is passed over, what is broken is counted.

    Raises:
        ConfigError: it cannot be read, or tells of no query at all.
    """
    counts, largest = empty(COUNTS), empty(SAMPLES)
    lines = queries = broken = 0
    try:
        for piece in _pieces(path, piece_bytes=piece_bytes):
            told, unreadable = queries_in(piece)
            lines += piece.len()
            queries += told.height
            broken += unreadable
            counts = merged(pl.concat([counts, counted(told)]))
            largest = newest_peaks(pl.concat([largest, peaks(told)]))
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give a file of query logs") from error
    if not queries:
        raise ConfigError(
            f"none of the {lines} lines of {path} tells of a query ({broken} are broken): give the "
            'log of the query-frontend with its lines `msg="query stats"`, which it writes unless '
            "-query-frontend.query-stats-enabled is false"
        )
    return QueryLog(
        usage=usage(counts).sort("tenant", "limit"),
        peaks=largest.sort("at", "tenant", "signal"),
        lines=lines,
        queries=queries,
        broken=broken,
    )


def _pieces(path: Path, *, piece_bytes: int) -> Iterator[pl.Series]:
    """The log lines, in pieces of whole lines."""
    with path.open("rb") as file:
        start = file.read(len(_GZIP))
        file.seek(0)
        opened = cast("IO[bytes]", gzip.GzipFile(fileobj=file) if start == _GZIP else file)
        with opened as stream:
            head = stream.read(_LOOKED_AT_BYTES)
            if head.lstrip().startswith(b"[") or any(mark in head for mark in _OF_LOKI):
                yield _unwrapped(head + stream.read(), path=path)
                return
            rest = head
            while piece := stream.read(piece_bytes):
                whole, newline, begun = piece.rpartition(b"\n")
                if newline:
                    yield _lines(rest + whole)
                    rest = begun
                else:
                    rest += piece
            yield _lines(rest)


def _lines(text: bytes) -> pl.Series:
    """The lines; where one is an object of `logcli`, the line within."""
    lines = pl.Series("line", text.decode(errors="replace").splitlines(), dtype=pl.String)
    wrapped = pl.col("line").str.starts_with("{") & pl.col("line").str.contains(
        '"line":', literal=True
    )
    inner = pl.when(wrapped).then(pl.col("line").str.json_path_match("$.line"))
    return lines.to_frame().select(pl.coalesce(inner, "line").alias("line"))["line"]


def _unwrapped(text: bytes, *, path: Path) -> pl.Series:
    """The lines of an answer of Loki, or of an export from Grafana."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"{path} looks like an answer of Loki and is no JSON ({error}): export it again"
        ) from error
    answer = document.get("data", document) if isinstance(document, dict) else document
    if isinstance(answer, list):
        found = [entry.get("line") for entry in answer if isinstance(entry, dict)]
    else:
        streams = answer.get("streams") or answer.get("result") or []
        found = [
            value[1]
            for stream in streams
            if isinstance(stream, dict)
            for value in stream.get("values") or []
            if isinstance(value, list) and len(value) > 1
        ]
    return pl.Series("line", [line for line in found if isinstance(line, str)], dtype=pl.String)
