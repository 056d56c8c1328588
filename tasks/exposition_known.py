"""Read a page again of which only the numbers are new.

From look to look a pod writes the same lines with other values. What the lines begin with, and
the rows that they make, is remembered: then only the values are read.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import polars as pl

# Whoever chooses the name of a tenant cannot know which other name has its digest.
_SEED: Final = random.SystemRandom().getrandbits(64)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The lines of a page, cut before their values.

    Attributes:
        heads: UInt64, a digest of what is before the value; of a line in no usual shape, of more.
        values: Float64, null where there is no number and nothing else.
    """

    heads: pl.Series
    values: pl.Series


@dataclass(frozen=True, slots=True, eq=False)
class KnownPage:
    """What a page said when it was taken apart, but for the values.

    Attributes:
        heads: of its lines.
        rows: what the lines say, without their values.
        lines: UInt32, of each row the line that it is of.
    """

    heads: pl.Series
    rows: pl.DataFrame
    lines: pl.Series

    def read(self, cut: Cut) -> pl.DataFrame | None:
        """The rows with the values of now; None when the page is not the same any more."""
        if cut.heads.len() != self.heads.len() or not (cut.heads == self.heads).all():
            return None
        values = cut.values.gather(self.lines)
        return None if values.null_count() else self.rows.with_columns(values.alias("value"))


def cut_before_values(lines: pl.Series) -> Cut:
    """Cut each line at the end of its labels; one without labels at its first blank."""
    parts = lines.str.splitn("} ", 2)
    heads, values = _hashed(parts), _numbers(parts)
    bare = parts.struct.field("field_1").is_null().arg_true()
    if bare.len():
        pairs = lines.gather(bare).str.splitn(" ", 2)
        heads = heads.scatter(bare, _hashed(pairs))
        values = values.scatter(bare, _numbers(pairs))
    return Cut(heads, values)


def _hashed(parts: pl.Series) -> pl.Series:
    return parts.struct.field("field_0").hash(_SEED)


def _numbers(parts: pl.Series) -> pl.Series:
    return parts.struct.field("field_1").cast(pl.Float64, strict=False)
