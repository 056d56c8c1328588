"""Read a page again of which only the numbers are new.

From look to look a pod writes the same lines with other values. What the lines begin with, and
the rows that they make, is remembered: then only the values are read, by the reader of CSV, with
the blank before a value as the separator. A page of which that would not be true is not remembered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Self

import polars as pl

# Whoever chooses the name of a tenant cannot know which other name has its digest.
_SEED: Final = random.SystemRandom().getrandbits(64)
_CUT: Final = pl.Schema({"head": pl.String(), "value": pl.Float64()})


@dataclass(frozen=True, slots=True, eq=False)
class KnownPage:
    """What a page said when it was taken apart, but for the values.

    Attributes:
        heads: UInt64, a digest of what is before the value, of each line.
        rows: what the lines say, without their values.
        lines: UInt32, of each row the line that it is of.
    """

    heads: pl.Series
    rows: pl.DataFrame
    lines: pl.Series

    @classmethod
    def of(cls, cut: pl.DataFrame, rows: pl.DataFrame, *, lines: int) -> Self | None:
        """The page to be known again; None where its values are not what the cut says.

        Args:
            cut: the answer of `cut_before_values`.
            rows: what the lines say, with `value`, and in `number` the line that they are of.
            lines: how many lines there are.
        """
        head = pl.col("head")
        # A blank inside of a label would cut it there, and what follows might be a number too.
        whole = (head.str.count_matches('"', literal=True) % 2 == 0) & (
            head.str.ends_with("}") | ~head.str.contains("{", literal=True)
        )
        if cut.height != lines or not cut.select(whole.all()).item():
            return None
        if not cut["value"].gather(rows["number"]).eq_missing(rows["value"]).all():
            return None
        return cls(_digests(cut), rows.drop("number", "value"), rows["number"])

    def read(self, cut: pl.DataFrame) -> pl.DataFrame | None:
        """The rows with the values of now; None when the page is not the same any more."""
        if cut.height != self.heads.len() or not (_digests(cut) == self.heads).all():
            return None
        values = cut["value"].gather(self.lines)
        return None if values.null_count() else self.rows.with_columns(values)


def cut_before_values(text: str) -> pl.DataFrame:
    """Columns head and value of each line that is not empty, cut at its first two blanks.

    `value` is null where there is no number between them.
    """
    return pl.read_csv(
        text.encode(),
        has_header=False,
        separator=" ",
        quote_char=None,
        schema=_CUT,
        ignore_errors=True,
        truncate_ragged_lines=True,
        raise_if_empty=False,
        extra_columns="ignore",
        missing_columns="insert",
    )


def _digests(cut: pl.DataFrame) -> pl.Series:
    return cut["head"].hash(_SEED)
