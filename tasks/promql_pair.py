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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newest:
    """READINGS of the newest scrape of each of some pods, and of the one before it."""

    current: pl.DataFrame
    previous: pl.DataFrame


def newest_two(answers: Sequence[pl.DataFrame], *, at: datetime, oldest: datetime) -> Newest:
    """The two newest scrapes of each pod; the older ones are left out.

    Args:
        answers: each the READINGS of several scrapes; all that there are about their pods.
        at: the moment that was asked about; what claims to be later is left out.
        oldest: the beginning of the time that was asked about.
    """
    asked_about = pl.col("at").is_between(oldest, at)
    scrapes = [rows.select("pod", "at").unique().filter(asked_about) for rows in answers]
    reached = [one.group_by("pod").agg(pl.col("at").max().alias("newest")) for one in scrapes]
    newest = pl.concat(reached).group_by("pod").agg(pl.col("newest").min())
    earlier = pl.concat(scrapes).join(newest, on="pod").filter(pl.col("at") < pl.col("newest"))
    before = earlier.group_by("pod").agg(pl.col("at").max())
    return Newest(
        current=_of(answers, newest.rename({"newest": "at"})), previous=_of(answers, before)
    )


def _of(answers: Sequence[pl.DataFrame], scrapes: pl.DataFrame) -> pl.DataFrame:
    """The READINGS of these scrapes: columns pod and at, one row a pod."""
    found = [rows.join(scrapes, on=["pod", "at"], how="semi") for rows in answers]
    return pl.concat([empty(READINGS), *found])


def newest_pair(
    found: Sequence[Newest],
    *,
    pods: Sequence[str],
    telling: Collection[str],
    failed: Mapping[str, str],
    at: datetime,
    oldest: datetime,
) -> Pair:
    """The two scrapes of all pods.

    Args:
        found: each about other pods.
        pods: all that are known.
        telling: those that have series; one without a sample of them in time has failed.
        failed: those that cannot be gone by, with the reason; what is found of them is left out.
        at: the moment that was asked about.
        oldest: the beginning of the time that was asked about.
    """
    heard = ~pl.col("pod").is_in(list(failed))
    current = pl.concat([empty(READINGS), *(one.current.filter(heard) for one in found)])
    previous = pl.concat([empty(READINGS), *(one.previous.filter(heard) for one in found)])
    telling_now, telling_before = set(current["pod"].unique()), set(previous["pod"].unique())
    late = dict.fromkeys(
        sorted({*telling} - telling_now - {*failed}),
        "its newest samples are older than promql.window",
    )
    answered = tuple(pod for pod in pods if pod not in failed and pod not in late)
    alone = {
        pod: "no earlier scrape of it lies within promql.window"
        for pod in answered
        if pod in telling_now - telling_before
    }
    return Pair(
        current=Scrape(
            at=at,
            readings=current,
            answered=answered,
            failed={**failed, **late},
            second_hand=True,
        ),
        previous=Scrape(
            at=oldest,
            readings=previous,
            answered=tuple(pod for pod in answered if pod not in alone),
            failed={**failed, **late, **alone},
        ),
        oldest=oldest,
    )


def _moments(readings: pl.DataFrame) -> pl.DataFrame:
    """The newest time of each pod: columns pod and at."""
    return readings.group_by("pod").agg(pl.col("at").max())
