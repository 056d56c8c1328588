"""Read hours of usage from a CSV or Parquet file; a file with one wrong row is refused whole.

Columns: `at`, the start of a whole hour, as a timestamp or ISO text (UTC where it names no offset);
`tenant`; `signal`; `mean`; and, if need be, `covered_seconds`, 3600 where it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from policy.cost.backfill import DAY, Filled, gaps
from policy.cost.periods import Period
from policy.cost.usage import IMPORTED, SECONDS_PER_HOUR, SIGNAL_OF
from policy.errors import ConfigError
from policy.frames import UTC_TIME

NEEDED: Final = ("at", "tenant", "signal", "mean")
COVERED: Final = "covered_seconds"
MOST_SHOWN: Final = 60
ROW: Final = "row"


def _csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False, row_index_name=ROW, row_index_offset=2)


def _parquet(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, row_index_name=ROW, row_index_offset=1)


READERS: Final[Mapping[str, tuple[Callable[[Path], pl.DataFrame], str]]] = {
    ".csv": (_csv, "line"),
    ".parquet": (_parquet, "row"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """Days from the rows of a file.

    Attributes:
        origin: the name of the file.
        rows: IMPORTED.
    """

    origin: str
    rows: pl.DataFrame
    kind: str = "file"

    @property
    def days(self) -> list[Period]:
        """The UTC days that have rows, the oldest first."""
        starts = self.rows["at"].dt.truncate("1d").unique().sort()
        return [Period(start=start, end=start + DAY) for start in starts]

    async def day(self, day: Period) -> Filled:
        """The rows of the day."""
        at = pl.col("at")
        hours = self.rows.filter(at >= day.start, at < day.end)
        return Filled(day=day, hours=hours, gaps=gaps(hours, day=day, heard=hours["at"].unique()))


def read_usage(path: Path) -> FileSource:
    """The hours of a file.

    Raises:
        ConfigError: it cannot be read, or a row is wrong; names the line and the column.
    """
    if path.suffix.lower() not in READERS:
        raise ConfigError(
            f"{path}: the ending names the kind of file; let it be {' or '.join(READERS)}"
        )
    read, unit = READERS[path.suffix.lower()]
    try:
        told = read(path)
    except OSError as error:
        why = error.strerror or str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be read: {why}") from error
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if lacking := [name for name in NEEDED if name not in told.columns]:
        raise ConfigError(
            f"{path} has no column {lacking[0]}; its columns are {', '.join(told.columns[1:])}"
        )
    if told.is_empty():
        raise ConfigError(f"{path} has no rows")
    return FileSource(origin=path.name, rows=_checked(told, path=path, unit=unit))


def _checked(told: pl.DataFrame, *, path: Path, unit: str) -> pl.DataFrame:
    covered = pl.col(COVERED) if COVERED in told.columns else pl.lit(SECONDS_PER_HOUR)
    rows = told.select(
        ROW,
        _time(told.schema["at"]).alias("at"),
        pl.col("tenant").cast(pl.String, strict=False),
        pl.col("signal").cast(pl.String, strict=False),
        pl.col("mean").cast(pl.Float64, strict=False),
        covered.cast(pl.Float64, strict=False).alias(COVERED),
    )
    at, mean, seconds = pl.col("at"), pl.col("mean"), pl.col(COVERED)
    key = ["at", "tenant", "signal"]
    wrong: Mapping[tuple[str, str], pl.Expr] = {
        ("at", "is no time like 2026-11-01T13:00:00Z"): at.is_null(),
        ("at", "is not the start of a whole hour"): at.dt.truncate("1h") != at,
        ("tenant", "is empty"): pl.col("tenant").fill_null("") == "",
        ("signal", f"is none of {', '.join(SIGNAL_OF.values())}"): ~pl.col("signal")
        .fill_null("")
        .is_in(list(SIGNAL_OF.values())),
        ("mean", "is no number of zero or more"): ~(mean.is_finite() & (mean >= 0)).fill_null(
            False
        ),
        (COVERED, "is no number of seconds above 0, up to 3600"): ~seconds.is_between(
            0, SECONDS_PER_HOUR, closed="right"
        ).fill_null(False),
        ("signal", "has a row before for the same hour and tenant"): ~pl.struct(
            key
        ).is_first_distinct(),
    }
    for (column, why), test in wrong.items():
        found = rows.filter(test)[ROW]
        if not found.is_empty():
            raise _refusal(told, row=int(found[0]), column=column, why=why, where=(path, unit))
    return rows.select(IMPORTED.names()).cast(IMPORTED).sort("at", "signal", "tenant")


def _time(kind: pl.DataType) -> pl.Expr:
    """The column `at` as UTC_TIME; null where it is no time."""
    at = pl.col("at")
    if isinstance(kind, pl.Datetime):
        aware = at.dt.replace_time_zone("UTC") if kind.time_zone is None else at
        return aware.dt.convert_time_zone("UTC").cast(UTC_TIME)
    text = at.cast(pl.String, strict=False).str.strip_chars().str.replace(" ", "T", literal=True)
    # Without an offset it is UTC; a day alone is its midnight.
    whole = pl.when(text.str.contains("T", literal=True)).then(text).otherwise(text + "T00:00:00")
    whole = whole.str.replace(r"(T\d\d:\d\d)($|[zZ+-])", "${1}:00${2}")
    offset = whole.str.contains(r"(?:[zZ]|[+-]\d\d:?\d\d)$")
    return (
        pl.when(offset)
        .then(whole)
        .otherwise(whole + "Z")
        .str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    )


def _refusal(
    told: pl.DataFrame, *, row: int, column: str, why: str, where: tuple[Path, str]
) -> ConfigError:
    path, unit = where
    value = told.filter(pl.col(ROW) == row)[column][0] if column in told.columns else None
    shown = "" if value is None else f" {str(value)[:MOST_SHOWN]!r}"
    return ConfigError(f"{path}, {unit} {row}, column {column}:{shown} {why}; nothing is imported")
