"""Choose, of the raw samples of several scrapes, the newest scrape of each pod and the one before.

All samples of one scrape carry one time. The newest scrape of a pod is the newest that every
answer about it has reached: one that was asked a moment earlier may not have seen it yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from policy.frames import READINGS, empty
from policy.scrape import Scrape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """The newest scrape of every pod, and the one before it, as far as there is one.

    `oldest` is the beginning of the time that was looked at.
    """

    previous: Scrape
    current: Scrape
    oldest: datetime

    def since(self, known: Scrape | None) -> Scrape:
        """What the rates up to `current` start from: what was known before, where that is of use.

        A look that comes every few scrapes would leave out what lay between; one that comes
        several times in a scrape would find no time between. So a pod's readings are those of
        `known` where they are earlier than its current ones and not older than was looked at
        now, and those of `previous` elsewhere.
        """
        if known is None:
            return self.previous
        newest = _moments(self.current.readings).rename({"at": "newest"})
        usable = (
            _moments(known.readings)
            .join(newest, on="pod")
            .filter((pl.col("at") < pl.col("newest")) & (pl.col("at") >= self.oldest))
        )
        pods = usable["pod"]
        return Scrape(
            at=self.previous.at,
            readings=pl.concat(
                [
                    known.readings.join(usable.select("pod"), on="pod", how="semi"),
                    self.previous.readings.join(usable.select("pod"), on="pod", how="anti"),
                ]
            ),
            answered=tuple(sorted({*self.previous.answered, *pods})),
            failed={pod: why for pod, why in self.previous.failed.items() if pod not in set(pods)},
        )


def newest_pair(
    answers: Sequence[pl.DataFrame],
    *,
    pods: Sequence[str],
    telling: Collection[str],
    failed: Mapping[str, str],
    at: datetime,
    oldest: datetime,
) -> Pair:
    """The two scrapes.

    Args:
        answers: each the READINGS of several scrapes.
        pods: all that are known.
        telling: those that have series; one without a sample of them in time has failed.
        failed: those that cannot be gone by, with the reason; none of them is in the answers.
        at: the moment that was asked about; what claims to be later is left out.
        oldest: the beginning of the time that was asked about.
    """
    rows = pl.concat([empty(READINGS), *answers]).filter(
        pl.col("at").is_between(oldest, at), ~pl.col("pod").is_in(list(failed))
    )
    reached = [_moments(answer.filter(pl.col("at") <= at)) for answer in (rows, *answers)]
    newest = pl.concat(reached).group_by("pod").agg(pl.col("at").min())
    current = rows.join(newest, on=["pod", "at"], how="semi")
    earlier = rows.join(newest, on="pod", suffix="_newest").filter(
        pl.col("at") < pl.col("at_newest")
    )
    before = _moments(earlier)
    late = dict.fromkeys(
        sorted({*telling} - {*current["pod"]} - {*failed}),
        "its newest samples are older than promql.window",
    )
    heard = tuple(pod for pod in pods if pod not in failed and pod not in late)
    alone = {
        pod: "no earlier scrape of it lies within promql.window"
        for pod in heard
        if pod in set(current["pod"]) - set(before["pod"])
    }
    return Pair(
        current=Scrape(
            at=at,
            readings=current,
            answered=heard,
            failed={**failed, **late},
            second_hand=True,
        ),
        previous=Scrape(
            at=oldest,
            readings=earlier.join(before, on=["pod", "at"], how="semi").select(READINGS.names()),
            answered=tuple(pod for pod in heard if pod not in alone),
            failed={**failed, **late, **alone},
        ),
        oldest=oldest,
    )


def _moments(readings: pl.DataFrame) -> pl.DataFrame:
    """The newest time of each pod: columns pod and at."""
    return readings.group_by("pod").agg(pl.col("at").max())
