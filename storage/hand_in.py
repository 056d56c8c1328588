"""Hand samples in from outside the owner of the history, whether it runs or not."""

from __future__ import annotations

import json
from typing import Final

import polars as pl

from policy.frames import SAMPLES
from storage.client import query
from storage.literals import literal

ROWS_AT_ONCE: Final = 20_000

HAND_IN: Final = """
    begin;
    create or replace temp table handed_in as
    select
        row.at::timestamptz as "at",
        row.tenant as tenant,
        row.signal as signal,
        row.value as value,
        row.coverage as coverage
    from (
        select unnest(from_json({rows}, '[{{
            "at": "VARCHAR", "tenant": "VARCHAR", "signal": "VARCHAR",
            "value": "DOUBLE", "coverage": "DOUBLE"
        }}]')) as row
    );
    insert into unrolled_buckets by name
    select distinct time_bucket(interval '5 minutes', "at") as "at" from handed_in
    where "at" >= coalesce(
        (select "at" from watermarks where name = 'samples_kept_since'), '-infinity'
    );
    insert into samples by name
    select * from handed_in anti join samples using ("at", tenant, signal);
    drop table handed_in;
    commit
"""


def hand_in_samples(url: str, samples: pl.DataFrame) -> None:
    """Add samples (SAMPLES) to the history at `url`; those that it has already are left out.

    Raises:
        StorageError: the history cannot be reached or written.
    """
    for rows in samples.select(SAMPLES.names()).iter_slices(ROWS_AT_ONCE):
        told = rows.with_columns(pl.col("at").dt.to_string("iso:strict")).to_dicts()
        query(url, HAND_IN.format(rows=literal(json.dumps(told))), write=True)
