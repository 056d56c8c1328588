"""What queries used of the per-query limits, by the lines of the query-frontend."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import signals
from policy.catalogue import limits
from policy.frames import SAMPLES
from policy.query_log import QUERIES, counted, merged, newest_peaks, peaks, queries_in, usage

SERIES, CHUNKS = "max_fetched_series_per_query", "max_fetched_chunks_per_query"
BYTES, LENGTH = "max_fetched_chunk_bytes_per_query", "max_total_query_length"

LOGFMT = (
    "ts=2026-11-23T12:00:01.5Z level=info user=acme "
    'msg="query stats" component=query-frontend user_agent="x fetched_series_count=99" '
    "response_time=12.5ms fetched_series_count=40 fetched_chunk_bytes=1000 "
    'fetched_chunks_count=80 param_query="up{a=\\" user=evil fetched_series_count=7\\"}" '
    "length=1h30m0.5s time_since_min_time=36h0m0s status=success"
)
JSON = (
    '{"ts":"2026-11-23T13:00:01.5+01:00","user":"acme","msg":"query stats",'
    '"fetched_series_count":40,"fetched_chunk_bytes":"1000","fetched_chunks_count":80,'
    '"length":"1h30m0.5s","time_since_min_time":"36h0m0s","param_query":"up{a=\\"fetched_series_count\\":7}"}'
)
CORTEX = (
    "ts=2026-11-23T12:00:01.5Z org_id=acme "
    'msg="query stats" fetched_series_count=40 fetched_chunks_count=80 fetched_chunks_bytes=1000'
    " length=1h30m0.5s time_since_min_time=36h0m0s"
)


def lines(*texts: str) -> pl.Series:
    return pl.Series("line", list(texts), dtype=pl.String)


def queries(*rows: tuple[str, datetime | None, float]) -> pl.DataFrame:
    """QUERIES of which only the series are known."""
    return pl.DataFrame(
        [(tenant, at, series, None, None, None, None) for tenant, at, series in rows],
        schema=QUERIES,
        orient="row",
    )


@pytest.mark.parametrize("line", [LOGFMT, JSON, CORTEX], ids=["logfmt", "json", "cortex"])
def test_every_spelling_tells_the_same_and_no_text_of_a_tenant_is_a_figure(line: str) -> None:
    found, broken = queries_in(lines("other", line))

    assert broken == 0
    assert found.schema == QUERIES
    at = datetime(2026, 11, 23, 12, 0, 1, 500_000, UTC)
    assert found.to_dicts() == [
        {"tenant": "acme", "at": at, SERIES: 40, CHUNKS: 80, BYTES: 1000, LENGTH: 5400.5}
        | {"reach": 36 * 3600.0}
    ]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('user=a msg="query stats" fetched_ser', id="cut-off"),
        pytest.param('msg="query stats" fetched_series_count=3', id="no-tenant"),
        pytest.param('user=a msg="query stats" fetched_series_count=10k', id="no-number"),
        pytest.param('user=a msg="query stats" fetched_series_count=-1', id="negative"),
        pytest.param('user=a msg="query stats" fetched_series_count=NaN', id="nan"),
        pytest.param('{"user":"a","msg":"query stats","fetched_ser', id="cut-off-json"),
    ],
)
def test_a_broken_line_is_counted_and_passed_over(line: str) -> None:
    found, broken = queries_in(lines(line, LOGFMT))

    assert found["tenant"].to_list() == ["acme"]
    assert broken == 1


@pytest.mark.parametrize(
    "line",
    [
        'user=a msg="other" param_query="msg=\\"query stats\\" fetched_series_count=1"',
        '{"user":"a","msg":"other","q":"query stats","fetched_series_count":1}',
        "",
    ],
)
def test_a_line_of_something_else_is_neither_a_query_nor_broken(line: str) -> None:
    found, broken = queries_in(lines(line))

    assert found.is_empty()
    assert broken == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("1m", 60.0),
        ("36h0m0s", 129_600.0),
        ("0s", 0.0),
        ("soon", None),
        ("5", None),
    ],
)
def test_a_length_is_read_as_go_writes_it(text: str, seconds: float | None) -> None:
    line = f'user=a msg="query stats" fetched_series_count=1 length={text}'

    found, _ = queries_in(lines(line))

    assert found[LENGTH].to_list() == [seconds]


@given(
    st.lists(st.floats(min_value=0, max_value=1e15, allow_subnormal=False), min_size=1),
    st.integers(1, 5),
)
def test_quantiles_are_within_one_percent_and_parts_give_the_same_as_the_whole(
    values: list[float], parts: int
) -> None:
    """Against the quantile of all values: the smallest with at least that share at or below it."""
    # What a log tells is whole numbers, or seconds: nothing between 0 and a nanosecond.
    told = [value if value >= 1e-9 else 0.0 for value in values]
    rows = queries(*(("a", None, value) for value in told))
    pieces = [counted(piece) for piece in rows.iter_slices(-(-len(told) // parts))]

    found = usage(merged(pl.concat(pieces)))

    exact = rows.select(p50=pl.col(SERIES).quantile(0.5, "higher"), most=pl.col(SERIES).max()).row(
        0, named=True
    )
    ordered = sorted(told)
    assert found["queries"].to_list() == [len(told)]
    assert found["max"].to_list() == [exact["most"]]
    for name, share in (("p50", 50), ("p95", 95), ("p99", 99)):
        wanted = ordered[-(-len(ordered) * share // 100) - 1]
        assert found[name][0] == pytest.approx(wanted, rel=0.0101)
        assert found[name][0] <= exact["most"]


def test_the_demand_of_five_minutes_is_the_largest_query_at_the_time_of_the_last() -> None:
    """A query without a time cannot be placed."""
    at = [datetime(2026, 11, 23, 12, minute, tzinfo=UTC) for minute in (1, 3, 7)]
    rows = queries(("a", at[0], 9), ("a", at[1], 4), ("a", at[2], 5), ("a", None, 99))

    found = peaks(rows)

    assert found.schema == SAMPLES
    wanted = [(at[1], "a", SERIES, 9.0, 1.0), (at[2], "a", SERIES, 5.0, 1.0)]
    assert found.sort("at").rows() == wanted
    assert newest_peaks(pl.concat([found, found])).sort("at").rows() == wanted


def test_a_demand_on_a_limit_is_a_number_in_the_limits_own_unit() -> None:
    """
    A duration is no number in Mimir, so how long a query looks back is a signal of its own.
    """
    found, _ = queries_in(lines(LOGFMT))

    recorded = dict(peaks(found).select("signal", "value").iter_rows())

    assert recorded[signals.QUERY_LENGTH] == 5400.5
    assert recorded[signals.QUERY_REACH] == 36 * 3600.0
    demands = recorded.keys() - {signals.QUERY_LENGTH, signals.QUERY_REACH}
    assert demands
    assert all(limits()[name].is_number for name in demands)
