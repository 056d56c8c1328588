"""Read what the PromQL API answered, in bulk, and refuse whatever is not the whole truth.

Partial data looks like a cluster with less load, so an answer with a warning is no answer. What
another program says, be it HTML or JSON, is refused with the setting to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

from policy.errors import ConfigError
from policy.frames import UTC_TIME
from tasks.promql_http import MOST_SHOWN, PromqlUnavailable

_ENVELOPE: Final = {
    "status": pl.String(),
    "errorType": pl.String(),
    "error": pl.String(),
    "warnings": pl.List(pl.String()),
    "infos": pl.List(pl.String()),
    "isPartial": pl.Boolean(),
}
_PASSING: Final = ("canceled", "internal", "timeout", "too_many_requests", "unavailable")
_NOT_FINITE: Final = ("NaN", "+Inf", "-Inf", "Inf")


class PartialAnswer(PromqlUnavailable):
    """Some of what was asked for could not be read on the other side."""


def read_vector(body: bytes, *, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The samples of an instant vector.

    Returns:
        Columns series (which of the answer's series), those of `labels`, null where a series has
        no such label, at and value. Values that are NaN or infinite are no measurement.

    Raises:
        PromqlUnavailable: it is partial, cut short, or says that it may work later.
        ConfigError: it is not the answer of the PromQL API, or says that the query is wrong.
    """
    rows = _rows(body, kind="vector", labels=labels, where=where)
    return _measured(rows.rename({"value": "point"}), where=where)


def read_matrix(body: bytes, *, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The raw samples of a range selector; as `read_vector`, with several rows for a series.

    A point that is given twice is taken once.
    """
    rows = _rows(body, kind="matrix", labels=labels, where=where)
    points = rows.explode("values").rename({"values": "point"}).drop_nulls("point")
    return _measured(points, where=where).unique(["series", "at"], keep="last")


def _rows(
    body: bytes, *, kind: Literal["vector", "matrix"], labels: Sequence[str], where: str
) -> pl.DataFrame:
    point = pl.List(pl.String())
    held = {"vector": {"value": point}, "matrix": {"values": pl.List(point)}}[kind]
    metric = pl.Struct({label: pl.String() for label in labels})
    series = pl.Struct({"metric": metric, **held})
    told = _decoded(
        body,
        pl.Struct(
            {**_ENVELOPE, "data": pl.Struct({"resultType": pl.String(), "result": pl.List(series)})}
        ),
        where=where,
    )
    _refuse(told, where=where)
    answer = told.select(pl.col("data").struct.unnest())
    if answer["resultType"].to_list() != [kind]:
        raise ConfigError(f"{where} answered no {kind}: promql.url is not a PromQL API")
    return (
        answer.select(pl.col("result").explode(empty_as_null=False, keep_nulls=False))
        .unnest("result")
        .with_row_index("series")
        .unnest("metric")
    )


def _decoded(body: bytes, shape: pl.Struct, *, where: str) -> pl.DataFrame:
    """The one row of the answer, unnested; columns of what it lacks are null."""
    start = body[:MOST_SHOWN].lstrip()
    if start.startswith(b"<"):
        raise ConfigError(
            f"{where} answered HTML: a login page or another program is there; correct promql.url"
        )
    try:
        told = pl.Series("answer", [body.decode()]).str.json_decode(shape)
    except (UnicodeDecodeError, pl.exceptions.ComputeError):
        if start.startswith(b'{"status"'):
            raise PromqlUnavailable(
                f"{where} answered JSON that is cut short or not what PromQL answers"
            ) from None
        raise _foreign(where) from None
    return told.struct.unnest()


def _refuse(told: pl.DataFrame, *, where: str) -> None:
    answer = told.drop("data").row(0, named=True) if told.height else {"status": None}
    if answer["status"] == "error":
        kind, said = answer["errorType"], _shortened([answer["error"] or "it does not say why"])
        if kind in _PASSING:
            raise PromqlUnavailable(f"{where} answered an error ({kind}): {said}")
        raise ConfigError(
            f"{where} answered an error ({kind}): {said}; check promql.matchers and its limits"
        )
    if answer["status"] != "success":
        raise _foreign(where)
    partial = [info for info in answer["infos"] or [] if "partial" in info.lower()]
    if doubts := [*(answer["warnings"] or []), *partial]:
        raise PartialAnswer(
            f"{where} answered with a warning, so not all of it is there: {_shortened(doubts)}"
        )
    if answer["isPartial"]:
        raise PartialAnswer(f"{where} answered that it is partial: not all of it is there")


def _measured(points: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The points `[seconds, "value"]` taken apart."""
    told = pl.col("point").list.get(1, null_on_oob=True)
    rows = points.with_columns(
        (pl.col("point").list.get(0, null_on_oob=True).cast(pl.Float64, strict=False) * 1000)
        .round()
        .cast(pl.Int64)
        .cast(pl.Datetime("ms", "UTC"))
        .cast(UTC_TIME)
        .alias("at"),
        pl.when(~told.is_in(_NOT_FINITE)).then(told).cast(pl.Float64, strict=False).alias("value"),
        told.alias("told"),
    )
    broken = pl.col("at").is_null() | (
        pl.col("value").is_null() & ~pl.col("told").is_in(_NOT_FINITE).fill_null(False)
    )
    if not rows.filter(broken).is_empty():
        raise ConfigError(f"{where} answered samples that are no numbers: it is no PromQL API")
    return rows.filter(pl.col("value").is_finite()).drop("point", "told")


def _foreign(where: str) -> ConfigError:
    return ConfigError(
        f"{where} answered something that is not PromQL's: another program is there; "
        "correct promql.url"
    )


def _shortened(said: Sequence[str]) -> str:
    return " ".join("; ".join(said).split())[:MOST_SHOWN]
