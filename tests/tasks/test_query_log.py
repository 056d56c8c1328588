"""A log of queries in every wrapping that people export it in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from policy.errors import ConfigError
from tasks.query_log import read_query_log

LINES = [
    f"ts=2026-11-23T12:{minute:02}:00Z user=acme "
    f'msg="query stats" fetched_series_count={minute + 1}'
    for minute in range(10)
]
BROKEN = 'user=acme msg="query stats" fetched_ser'
PLAIN = "\n".join([*LINES, "level=info msg=other", BROKEN]) + "\n"
STREAMS = [
    {"stream": {"app": "qf"}, "values": [["1", line] for line in LINES[:5]]},
    {"stream": {"app": "qf2"}, "values": [["2", line] for line in [*LINES[5:], BROKEN, "other"]]},
]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN.encode(), id="plain"),
        pytest.param(PLAIN.rstrip().replace("\n", "\r\n").encode(), id="windows"),
        pytest.param(gzip.compress(PLAIN.encode()), id="gzip"),
        pytest.param(json.dumps({"streams": STREAMS}).encode(), id="loki-push"),
        pytest.param(
            json.dumps(
                {"status": "success", "data": {"resultType": "streams", "result": STREAMS}}
            ).encode(),
            id="loki-api",
        ),
        pytest.param(
            "\n".join(
                json.dumps({"labels": {}, "line": line, "timestamp": "1"})
                for line in PLAIN.splitlines()
            ).encode(),
            id="logcli-jsonl",
        ),
        pytest.param(
            json.dumps([{"line": line} for line in PLAIN.splitlines()]).encode(), id="grafana"
        ),
        pytest.param(PLAIN.replace("other", "\udcff").encode(errors="surrogateescape"), id="bytes"),
    ],
)
def test_every_wrapping_tells_the_same(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "queries.log"
    file.write_bytes(content)

    found = read_query_log(file)

    assert (found.lines, found.queries, found.broken) == (12, 10, 1)
    assert found.usage.select("tenant", "queries", "max").rows() == [("acme", 10, 10.0)]
    assert found.peaks["value"].to_list() == [5.0, 10.0]


@pytest.mark.parametrize("piece_bytes", [60, 1_000, 100_000])
def test_the_size_of_the_pieces_changes_nothing(tmp_path: Path, piece_bytes: int) -> None:
    file = tmp_path / "queries.log"
    file.write_text(PLAIN * 8)  # more than what is looked at to tell the wrapping

    found = read_query_log(file, piece_bytes=piece_bytes)

    assert (found.lines, found.queries, found.broken) == (96, 80, 8)
    assert found.peaks["value"].to_list() == [5.0, 10.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "none of the 0 lines of .* tells of a query", id="empty"),
        pytest.param(b"a\nb\n", "none of the 2 lines .*query-stats-enabled", id="something-else"),
        pytest.param(BROKEN.encode(), "1 are broken", id="only-broken"),
        pytest.param(b'{"streams": [', "is no JSON", id="half-of-loki"),
        pytest.param(b"\x1f\x8b\x08\x00rubbish-rubbish", "cannot be read", id="bad-gzip"),
        pytest.param(gzip.compress(PLAIN.encode())[:-20], "cannot be read", id="half-of-gzip"),
    ],
)
def test_a_file_without_queries_is_one_clear_error(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "queries.log"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=says):
        read_query_log(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.log cannot be read"):
        read_query_log(tmp_path / "gone.log")
