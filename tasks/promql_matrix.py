"""Read the raw samples of a range selector in bulk, straight into columns.

An answer repeats all labels of every series, and most series differ from others in the tenant
alone. So its text is cut, a piece at a time, at unescaped quotes, which no JSON string can hold,
and only the labels beside the tenant's, few of them different, are decoded as JSON. A series with
an escape is decoded whole; so is every answer that is not what Go's servers write, and it is
there that what is wrong with it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from policy.errors import ConfigError
from policy.frames import UTC_TIME
from tasks.promql_answer import PartialAnswer, measured, numbers, read_series, shape_of
from tasks.promql_http import PromqlUnavailable

TENANT: Final = "user"

_SERIES: Final = '{"metric":'
_VALUES: Final = '},"values":[['
_END: Final = '"]]'
_FIRST: Final = f'"result":[{_SERIES}'.encode()
_LAST: Final = b"]]}]"  # ends the points, the series and the result
_PIECE_BYTES: Final = 2 * 2**20


def read_matrix(body: bytes, *, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The raw samples of a range selector; as `read_vector`, with several rows for a series.

    Args:
        body: the whole answer.
        labels: which of them are wanted, TENANT among them. All but that are categories.
        where: the address that answered, for what is refused.

    Returns:
        Columns those of `labels`, at and value. A point that is given twice is taken once.

    Raises:
        PromqlUnavailable: as `tasks.promql_answer.read_vector`.
        ConfigError: as `tasks.promql_answer.read_vector`.
    """
    kinds = {label: pl.String() if label == TENANT else pl.Categorical() for label in labels}
    schema = pl.Schema({**kinds, "at": UTC_TIME, "value": pl.Float64()})
    found = [pl.DataFrame(schema=schema)]
    try:
        cut = _read_cut(body, labels=labels, where=where)
        found.extend(rows.select(schema.names()).cast(schema) for rows in cut)
    except PartialAnswer:
        raise
    except (UnicodeDecodeError, pl.exceptions.PolarsError, ConfigError, PromqlUnavailable):
        series = read_series(body, kind="matrix", labels=labels, where=where)
        rows = _points(series, where=where)
        found = [rows.select(schema.names()).cast(schema)]
    return pl.concat(found)


def _read_cut(body: bytes, *, labels: Sequence[str], where: str) -> Iterator[pl.DataFrame]:
    """The rows of an answer that can be cut; any error here only says that it cannot."""
    start, end = body.find(_FIRST), body.rfind(_LAST)
    if start < 0 or end < start:
        raise ConfigError(f"{where} answered no series that could be cut")
    start, end = start + len(_FIRST) - len(_SERIES), end + len(_LAST) - 1
    read_series(body[:start] + body[end:], kind="matrix", labels=labels, where=where)
    for piece in _pieces(body, start=start, end=end):
        yield from _read_piece(piece, labels=labels, where=where)


def _pieces(body: bytes, *, start: int, end: int) -> Iterator[str]:
    """Whole series at a time, without how the first begins and what ends the last."""
    between = f",{_SERIES}".encode()
    while start < end:
        stop = body.find(between, start + _PIECE_BYTES, end)
        stop = stop if stop >= 0 else end
        yield body[start + len(_SERIES) : stop - 1].decode()
        start = stop + 1


def _read_piece(piece: str, *, labels: Sequence[str], where: str) -> list[pl.DataFrame]:
    """Rows of the series that can be cut, and of those that cannot."""
    text = pl.col("text")
    lines = (
        pl.Series("text", [piece])
        .str.split(f"}},{_SERIES}")
        .explode()
        .to_frame()
        .with_columns(
            text.str.split_exact(_VALUES, 1).struct.rename_fields(["metric", "points"]).alias("cut")
        )
        .unnest("cut")
    )
    plain = ~text.str.contains("\\", literal=True) & pl.col("points").str.ends_with(_END)
    cuttable = lines.select(plain.fill_null(False)).to_series()
    if cuttable.all():
        return [_cut(lines, labels=labels, where=where)]
    rest = lines.filter(~cuttable).select(pl.concat_str(pl.lit(_SERIES), text, pl.lit("}")))
    series = rest.to_series().str.json_decode(shape_of("matrix", labels=labels)).struct.unnest()
    return [
        _cut(lines.filter(cuttable), labels=labels, where=where),
        _points(series.unnest("metric"), where=where),
    ]


def _cut(lines: pl.DataFrame, *, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The rows of lines without an escape, so that each quote opens or closes a text."""
    others = [label for label in labels if label != TENANT]
    owned = pl.col("metric").str.split_exact(f',"{TENANT}":"', 1)
    named = pl.col("owned").str.splitn('"', 2)
    series = (
        lines.select(
            owned.struct.rename_fields(["before", "owned"]).struct.unnest(),
            pl.col("points").str.strip_suffix(_END).str.split('"').alias("point"),
        )
        .with_columns(named.struct.rename_fields([TENANT, "after"]).struct.unnest())
        .with_columns(pl.concat_str("before", pl.col("after").fill_null("")).alias("beside"))
    )
    heads = series.select(pl.col("beside").unique())
    metric = pl.concat_str("beside", pl.lit("}")).str.json_decode(
        pl.Struct({label: pl.String() for label in labels})
    )
    heads = heads.with_columns(metric.struct.unnest().name.map(lambda name: f"head_{name}"))
    heads = heads.with_columns(pl.col(f"head_{label}").cast(pl.Categorical()) for label in others)
    points = (
        series.join(heads, on="beside", maintain_order="left")
        .with_row_index("series")
        .select(
            "series",
            pl.coalesce(TENANT, f"head_{TENANT}").alias(TENANT),
            *(pl.col(f"head_{label}").alias(label) for label in others),
            "point",
        )
        .explode("point")
    )
    # `1.5,"7"],[2.5,"8` is cut into the time and the value of each point, by turns.
    times, values = points["point"].gather_every(2), points["point"].gather_every(2, offset=1)
    points = (
        points.drop("point")
        .gather_every(2)
        .with_columns(times.str.strip_prefix("],[").str.strip_suffix(",").alias("seconds"))
        .with_columns(values.alias("told"))
    )
    return _once(numbers(points, where=where))


def _points(series: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The rows of series with their points in a list."""
    points = series.with_row_index("series").explode("values").rename({"values": "point"})
    return _once(measured(points.drop_nulls("point"), where=where))


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Each point once: those of a series come in the order of time."""
    doubled = pl.all_horizontal(pl.col("series", "at") == pl.col("series", "at").shift(-1))
    return rows.filter(~doubled.fill_null(False))
