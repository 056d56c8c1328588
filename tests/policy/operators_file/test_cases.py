"""Limits set in an operator's runtime file and withdrawn again: the bytes of each case."""

from __future__ import annotations

import pytest
from polars.testing import assert_frame_equal

from policy.operators_file import Claims, claimed, edited
from tests.policy.operators_file.files import CASES, NOTHING, Case, limits

of_each = pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])


def holding(case: Case) -> tuple[str, Claims]:
    return edited(case.file, claims=NOTHING, wanted=limits(*case.rows))


@of_each
def test_the_limits_stand_in_the_file_and_every_other_byte_stays(case: Case) -> None:
    text, claims = holding(case)

    assert text == case.edited
    assert_frame_equal(claimed(text, claims=claims), limits(*sorted(case.rows)))


@of_each
def test_the_same_limits_once_more_change_nothing(case: Case) -> None:
    text, claims = holding(case)

    assert edited(text, claims=claims, wanted=limits(*case.rows)) == (text, claims)


@of_each
def test_what_stood_there_comes_back(case: Case) -> None:
    text, claims = holding(case)

    assert edited(text, claims=claims, wanted=limits()) == (case.back or case.file, NOTHING)


@of_each
def test_it_comes_back_after_other_limits_of_ours(case: Case) -> None:
    """Numbers change, one tenant comes, and one limit goes before everything does."""
    text, claims = holding(case)
    rows = [(tenant, limit, value + 1) for tenant, limit, value in case.rows][1:]
    rows.append(("z", "rate", 1.0))

    text, claims = edited(text, claims=claims, wanted=limits(*rows))
    assert_frame_equal(claimed(text, claims=claims), limits(*sorted(rows)))
    text, claims = edited(text, claims=claims, wanted=limits())

    assert (text, claims) == (case.back or case.file, NOTHING)


@of_each
def test_the_claims_are_the_same_after_they_were_kept_as_json(case: Case) -> None:
    _, claims = holding(case)

    assert Claims.from_json(claims.to_json()) == claims
    assert Claims.from_json(claims.to_json()).to_json() == claims.to_json()
