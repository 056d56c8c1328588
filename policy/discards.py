"""What the reasons of discards say: which limit bites, or that the data are bad.

Only a reason that a higher limit would cure is pressure. A reason that nobody has read up is
`other`: it is shown by its name and never taken for pressure. The reasons are those of Mimir and
of Cortex; an ingester's are counted by each replica that refused.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from policy import scrape as families
from policy import signals
from policy.frames import READINGS
from policy.rates import rates
from policy.scrape import Scrape
from policy.series import Copies, once

# One row per tenant, family and reason. `kind` is pressure | quality | other; `signal` is the one
# of policy.signals that it adds to.
DISCARDS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "family": pl.String(),
        "reason": pl.String(),
        "kind": pl.String(),
        "signal": pl.String(),
        "per_second": pl.Float64(),
    }
)

_AT_DISTRIBUTOR: Final = {
    "rate_limited": signals.DISCARDED_RATE_LIMITED,
    "per_user_active_series_limit": signals.DISCARDED_ACTIVE_SERIES,
    "max_label_names_per_series": signals.DISCARDED_LABEL_COUNT,
    "max_label_names_per_info_series": signals.DISCARDED_INFO_LABEL_COUNT,
    "label_name_too_long": signals.DISCARDED_LABEL_NAME,
    "label_value_too_long": signals.DISCARDED_LABEL_VALUE,
    "labels_size_bytes_exceeded": signals.DISCARDED_LABELS_SIZE,
    "max_native_histogram_buckets": signals.DISCARDED_HISTOGRAM_BUCKETS,
    "native_histogram_buckets_exceeded": signals.DISCARDED_HISTOGRAM_BUCKETS,
    "native_histogram_rate_limited": signals.DISCARDED_HISTOGRAM_RATE,
    "too_many_ha_clusters": signals.DISCARDED_HA_CLUSTERS,
}
_AT_INGESTER: Final = {
    "per_user_series_limit": signals.DISCARDED_SERIES_LIMIT,
    "per_metric_series_limit": signals.DISCARDED_METRIC_SERIES,
    "per_labelset_series_limit": signals.DISCARDED_LABELSET_SERIES,
    "per_user_metadata_limit": signals.DISCARDED_METADATA,
    "per_metric_metadata_limit": signals.DISCARDED_METRIC_METADATA,
}
_BAD_AT_DISTRIBUTOR: Final = (
    "missing_metric_name",
    "metric_name_invalid",
    "label_invalid",
    "label_value_invalid",
    "duplicate_label_names",
    "labels_not_sorted",
    "invalid_native_histogram_schema",
    "too_far_in_future",
    "too_far_in_past",
    "greater_than_max_sample_age",
    "relabel_configuration",
    "user_label_removal_configuration",
    "exemplar_labels_missing",
    "exemplar_labels_too_long",
    "exemplar_labels_blank",
    "exemplar_timestamp_invalid",
    "exemplar_too_old",
    "exemplar_too_far_in_future",
    "too_many_exemplars_per_series_per_request",
    "metadata_missing_metric_name",
    "metric_name_too_long",
    "help_too_long",
    "unit_too_long",
)
_BAD_AT_INGESTER: Final = (
    "sample-out-of-order",
    "sample-out-of-bounds",
    "sample-too-old",
    "sample-timestamp-too-old",
    "sample-too-far-in-future",
    "invalid-native-histogram",
    "labels-not-sorted",
    "sample_out_of_order",
    "sample_out_of_bounds",
    "sample_too_old",
)
# The same series at the same moment: sent twice, or by two senders whose labels are the same.
_TWICE_AT_DISTRIBUTOR: Final = ("sample_duplicate_timestamp",)
_TWICE_AT_INGESTER: Final = ("new-value-for-timestamp", "new_value_for_timestamp")
_ITEM_FAMILIES: Final = (
    families.DISCARDED,
    families.DISCARDED_EXEMPLARS,
    families.DISCARDED_METADATA,
)
# Families of which every row says the same, whatever its reason.
_WHOLE_FAMILIES: Final = {
    families.DISCARDED_REQUESTS: signals.DISCARDED_REQUESTS,
    families.QUEUE_DISCARDS: signals.DISCARDED_QUERIES,
    families.FRONTEND_QUEUE_DISCARDS: signals.DISCARDED_QUERIES,
    families.NOTIFICATIONS_REFUSED: signals.DISCARDED_NOTIFICATIONS,
}
FAMILIES: Final = (*_ITEM_FAMILIES, *_WHOLE_FAMILIES, families.REJECTED_QUERIES)


def _reasons() -> pl.DataFrame:
    """Columns family, reason, signal, copied: what is known of a reason."""
    known = [
        (family, reason, signal, copied)
        for family in _ITEM_FAMILIES
        for table, copied in (
            (_AT_DISTRIBUTOR, False),
            (_AT_INGESTER, True),
            (dict.fromkeys(_TWICE_AT_DISTRIBUTOR, signals.DISCARDED_DUPLICATES), False),
            (dict.fromkeys(_TWICE_AT_INGESTER, signals.DISCARDED_DUPLICATES), True),
            (dict.fromkeys(_BAD_AT_DISTRIBUTOR, signals.DISCARDED_QUALITY), False),
            (dict.fromkeys(_BAD_AT_INGESTER, signals.DISCARDED_QUALITY), True),
        )
        for reason, signal in table.items()
    ]
    whole = [(family, "", signal, False) for family, signal in _WHOLE_FAMILIES.items()]
    return pl.DataFrame(
        [*known, *whole],
        schema={
            "family": READINGS["family"],
            "reason": READINGS["reason"],
            "signal": pl.String(),
            "copied": pl.Boolean(),
        },
        orient="row",
    )


_REASONS: Final = _reasons()


def told_apart(refused: pl.DataFrame) -> pl.DataFrame:
    """Say of each discard what it presses on.

    Args:
        refused: columns family and reason among others; rows of FAMILIES.

    Returns:
        The same with columns `signal`, and `copied`: whether each replica has counted it. Of
        an unknown reason a hyphen tells that it is an ingester's, as in all that are known.
    """
    whole = pl.col("family").is_in(list(_WHOLE_FAMILIES))
    key = pl.when(whole).then(pl.lit("")).otherwise(pl.col("reason").fill_null(""))
    return (
        refused.with_columns(key.alias("of"))
        .join(
            _REASONS,
            left_on=["family", "of"],
            right_on=["family", "reason"],
            how="left",
            maintain_order="none",
        )
        .with_columns(
            pl.col("signal").fill_null(signals.DISCARDED_OTHER),
            pl.col("copied").fill_null(
                pl.col("of").cast(pl.String).str.contains("-", literal=True)
            ),
        )
        .drop("of")
    )


def discards(current: Scrape, previous: Scrape | None) -> pl.DataFrame:
    """Everything that was refused between two scrapes, by reason, each item counted once.

    Args:
        current: the later scrape.
        previous: the earlier one, or None: then nothing is known.

    Returns:
        DISCARDS, per second, more than zero only. An unknown reason has the kind `other`.
    """
    if previous is None:
        return pl.DataFrame(schema=DISCARDS)
    key = ("user", "family", "reason", "signal")
    found = told_apart(rates(previous.readings, current.readings, families=FAMILIES)).rename(
        {"per_second": "value"}
    )
    parts = [
        once(found.filter("copied"), copies=Copies.of(current, previous), key=key),
        found.filter(~pl.col("copied")).select(*key, "value"),
    ]
    kind = (
        pl.when(pl.col("signal").is_in([signals.DISCARDED_DUPLICATES, signals.DISCARDED_QUALITY]))
        .then(pl.lit("quality"))
        .when(pl.col("signal") == signals.DISCARDED_OTHER)
        .then(pl.lit("other"))
        .otherwise(pl.lit("pressure"))
    )
    return (
        pl.concat(parts)
        .filter(pl.col("user").is_not_null())
        .group_by(key)
        .agg(pl.col("value").sum().alias("per_second"))
        .filter(pl.col("per_second") > 0)
        .with_columns(pl.col("user").alias("tenant"), kind.alias("kind"))
        .select(DISCARDS.names())
        .cast(DISCARDS)
        .sort("tenant", "family", "reason", nulls_last=True)
    )
