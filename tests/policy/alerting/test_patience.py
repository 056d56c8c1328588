"""When a channel is left alone, and how long a message waits for its next try."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.alerting.patience import (
    Standing,
    admitted,
    after_failure,
    after_success,
    delay,
    ready,
    rules_of,
)
from policy.settings.alerting import Retry
from tests.policy.alerts import NOON

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("channel", "failures", "minutes"),
    [("slack", 5, 5), ("pagerduty", 3, 5), ("email", 5, 10), ("my-webhook", 5, 5)],
)
def test_each_channel_is_left_alone_after_so_many_failures_for_so_long(
    channel: str, failures: int, minutes: int
) -> None:
    rules, standing, before = rules_of(channel), Standing(), Standing()
    for _ in range(failures):
        before = standing
        standing = after_failure(standing, rules=rules, now=NOON, problem="p")
    early = ready(standing, rules=rules, now=NOON + minutes * MINUTE - timedelta(seconds=1))
    late = ready(standing, rules=rules, now=NOON + minutes * MINUTE)

    assert [before.breaker, standing.breaker, early.breaker, late.breaker] == [
        "closed",
        "open",
        "open",
        "half-open",
    ]
    assert admitted(standing, rules=rules, now=NOON) == 0
    assert admitted(late, rules=rules, now=NOON) == 3


def test_three_trials_that_work_close_it_and_one_that_fails_opens_it() -> None:
    rules = rules_of("slack")
    half = Standing(breaker="half-open", since=NOON, failures=5)
    twice = after_success(after_success(half, rules=rules, now=NOON), rules=rules, now=NOON)

    assert twice.breaker == "half-open"
    assert after_success(twice, rules=rules, now=NOON).breaker == "closed"
    assert after_failure(twice, rules=rules, now=NOON, problem="p").breaker == "open"


def test_what_cannot_work_is_left_alone_at_once() -> None:
    rules = rules_of("slack")

    hopeless = after_failure(Standing(), rules=rules, now=NOON, problem="p", hopeless=True)

    assert hopeless.breaker == "open"


def test_a_service_that_asks_for_time_gets_it_also_while_it_counts_as_working() -> None:
    rules = rules_of("slack")
    standing = after_failure(
        Standing(), rules=rules, now=NOON, problem="p", retry_after=timedelta(seconds=90)
    )

    assert standing.breaker == "closed"
    assert admitted(standing, rules=rules, now=NOON + timedelta(seconds=89)) == 0
    assert admitted(standing, rules=rules, now=NOON + timedelta(seconds=90)) is None


def test_a_check_that_went_well_is_no_message_that_was_taken() -> None:
    rules = rules_of("slack")

    checked = after_success(Standing(), rules=rules, now=NOON, message=False)

    assert (checked.checked_at, checked.succeeded_at) == (NOON, None)


@given(attempts=st.integers(1, 1_000), seed=st.integers())
def test_a_wait_is_doubled_up_to_the_longest_and_half_of_it_is_chance(
    attempts: int, seed: int
) -> None:
    retry = Retry()
    whole = min(retry.first_delay * 2 ** min(attempts - 1, 20), retry.longest_delay)

    found = delay(attempts, retry=retry, random=Random(seed))

    assert whole / 2 <= found <= whole
