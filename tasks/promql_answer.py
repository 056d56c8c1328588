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
_POINT: Final = pl.List(pl.String())
_NOT_FINITE: Final = ("NaN", "+Inf", "-Inf", "Inf")

Kind = Literal["vector", "matrix"]


class PartialAnswer(PromqlUnavailable):
    """Some of what was asked for could not be read on the other side."""


def read_vector(body: bytes, *, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The samples of an instant vector.

    Returns:
        Columns those of `labels`, null where a series has no such label, at and value. Values
        that are NaN or infinite are no measurement.

    Raises:
        PromqlUnavailable: it is partial, cut short, or says that it may work later.
        ConfigError: it is not the answer of the PromQL API, or says that the query is wrong.
    """
    rows = read_series(body, kind="vector", labels=labels, where=where)
    return measured(rows.rename({"value": "point"}), where=where)


def shape_of(kind: Kind, *, labels: Sequence[str]) -> pl.Struct:
    """One series of an answer of the kind, with those of its labels that are of use."""
    metric = pl.Struct({label: pl.String() for label in labels})
    held: dict[Kind, dict[str, pl.DataType]] = {
        "vector": {"value": _POINT},
        "matrix": {"values": pl.List(_POINT)},
    }
    return pl.Struct({"metric": metric, **held[kind]})


def read_series(body: bytes, *, kind: Kind, labels: Sequence[str], where: str) -> pl.DataFrame:
    """The series of an answer as they came: columns those of `labels`, and value or values.

    Raises:
        PromqlUnavailable: as `read_vector`.
        ConfigError: as `read_vector`.
    """
    series = pl.List(shape_of(kind, labels=labels))
    data = pl.Struct({"resultType": pl.String(), "result": series})
    told = _decoded(body, pl.Struct({**_ENVELOPE, "data": data}), where=where)
    _refuse(told, where=where)
    answer = told.select(pl.col("data").struct.unnest())
    if answer["resultType"].to_list() != [kind]:
        raise ConfigError(f"{where} answered no {kind}: promql.url is not a PromQL API")
    return (
        answer.select(pl.col("result").explode(empty_as_null=False, keep_nulls=False))
        .unnest("result")
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
            raise cut_short(where) from None
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


def measured(points: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The column `point`, `[seconds, "value"]`, taken apart into at and value.

    Raises:
        ConfigError: one of them is not what the PromQL API answers.
    """
    rows = points.with_columns(
        pl.col("point").list.get(0, null_on_oob=True).alias("seconds"),
        pl.col("point").list.get(1, null_on_oob=True).alias("told"),
    )
    return numbers(rows.drop("point"), where=where)


def numbers(points: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The texts `seconds` and `told` as the columns at and value, finite ones only.

    Raises:
        ConfigError: one of them is not what the PromQL API answers.
    """
    seconds, told = pl.col("seconds"), pl.col("told")
    rows = points.with_columns(
        (seconds.cast(pl.Float64, strict=False) * 1000)
        .round()
        .cast(pl.Int64, strict=False)
        .cast(pl.Datetime("ms", "UTC"))
        .cast(UTC_TIME)
        .alias("at"),
        told.cast(pl.Float64, strict=False).alias("value"),
    )
    untold = rows.filter(pl.col("value").is_null() & ~told.is_in(_NOT_FINITE).fill_null(False))
    if rows["at"].null_count() or not untold.is_empty():
        raise ConfigError(f"{where} answered samples that are no numbers: it is no PromQL API")
    return rows.drop("seconds", "told").filter(pl.col("value").is_finite())


def cut_short(where: str) -> PromqlUnavailable:
    """The refusal of an answer that begins as it should and is not JSON."""
    return PromqlUnavailable(f"{where} answered JSON that is cut short or not what PromQL answers")


def _foreign(where: str) -> ConfigError:
    return ConfigError(
        f"{where} answered something that is not PromQL's: another program is there; "
        "correct promql.url"
    )


def _shortened(said: Sequence[str]) -> str:
    return " ".join("; ".join(said).split())[:MOST_SHOWN]
