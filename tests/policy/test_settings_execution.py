"""The settings of the task runner: threads by themselves, Dask with the address of a scheduler."""

from __future__ import annotations

import pytest

from policy.errors import ConfigError
from policy.settings import parse_settings


def test_without_a_word_flows_run_in_threads() -> None:
    assert parse_settings({}).execution.task_runner == "threads"


def test_dask_without_the_address_of_its_scheduler_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_settings({"execution": {"taskRunner": "dask"}})

    assert str(refusal.value) == (
        "execution.daskAddress: is missing beside taskRunner: dask; write tcp://HOST:8786"
    )


@pytest.mark.parametrize(
    "address", ["dask:8786", "http://dask:8786", "tcp://dask", "tcp://a b:1", "tcp://me:pw@dask:1"]
)
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"execution\.daskAddress: .*tcp://dask:8786"):
        parse_settings({"execution": {"daskAddress": address}})


@pytest.mark.parametrize("address", ["tcp://dask:8786", "tls://10.0.0.1:8786", "tcp://[::1]:8786"])
def test_an_address_of_a_scheduler_is_taken(address: str) -> None:
    told = {"execution": {"taskRunner": "dask", "daskAddress": address}}

    assert parse_settings(told).execution.dask_address == address
