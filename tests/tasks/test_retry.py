"""Which failures of a task deserve another try."""

from __future__ import annotations

import inspect
import itertools
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed, Failed
from prefect.task_engine import TaskRunTimeoutError

from policy.errors import ConfigError, Conflict, OptimizerError, RetriableError, SkippableError
from tasks.http import MimirUnavailable
from tasks.retry import retry_on, retry_policy


def step() -> None:
    """Nothing: it is the policy that is looked at."""


def another_try(failure: object) -> bool:
    condition = retry_on(RetriableError)
    run = TaskRun(task_key="step", dynamic_key="0", flow_run_id=uuid4())
    return condition(Task(step), run, Failed(data=failure))


@pytest.mark.parametrize(
    "failure",
    [
        MimirUnavailable("down"),
        Conflict("changed"),
        TimeoutError(),
        TaskRunTimeoutError(),
        httpx.ReadTimeout("slow"),
        httpx.PoolTimeout("full"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_may_pass_by_itself_is_tried_again(failure: Exception) -> None:
    assert another_try(failure)


@pytest.mark.parametrize(
    "failure",
    [
        ConfigError("wrong"),
        SkippableError("left out"),
        OptimizerError("other"),
        ValueError("bug"),
        httpx.InvalidURL("wrong"),
        None,
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_will_not_pass_by_itself_fails_at_once(failure: object) -> None:
    assert not another_try(failure)


def test_a_state_without_a_failure_is_not_tried_again() -> None:
    run = TaskRun(task_key="step", dynamic_key="0", flow_run_id=uuid4())

    assert not retry_on(RetriableError)(Task(step), run, Completed())


def test_the_condition_is_a_plain_function() -> None:
    """
    Prefect asks inspect.isfunction and takes any other callable for a "no".
    """
    assert inspect.isfunction(retry_policy(timeout_seconds=1)["retry_condition_fn"])


def test_the_policy_makes_a_task_that_is_tried_again_later_and_later() -> None:
    made: Task[..., Any] = task(**retry_policy(retries=4, timeout_seconds=30))(step)

    delays = made.retry_delay_seconds
    assert isinstance(delays, list)
    assert made.retries == len(delays) == 4
    assert all(later == 2 * sooner for sooner, later in itertools.pairwise(delays))
    assert made.retry_jitter_factor
    assert made.timeout_seconds == 30
    assert made.cache_policy == NO_CACHE
