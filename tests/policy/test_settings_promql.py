"""The settings of the second source: one identity, a base address, matchers that are some."""

from __future__ import annotations

import pytest

from policy.errors import ConfigError
from policy.settings import parse_settings

SECRET = "s3cret-of-the-test"

REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "two-ways": (
        {"bearerToken": SECRET, "basicAuth": {"username": "a", "password": SECRET}},
        "keep one",
    ),
    "header-too": (
        {"bearerToken": SECRET, "headers": {"Authorization": SECRET}},
        "keep one",
    ),
    "tenant-twice": ({"tenant": "a", "headers": {"x-scope-orgid": SECRET}}, "keep one"),
    "two-passwords": (
        {"basicAuth": {"username": "a", "password": SECRET, "passwordFile": "/x"}},
        "keep one",
    ),
    "no-user": ({"basicAuth": {"password": SECRET}}, "username"),
    "no-password": ({"basicAuth": {"username": "a"}}, "passwordFile"),
    "key-alone": ({"tls": {"keyFile": "/x"}}, "certFile"),
    "api-path": ({"url": "http://mimir/prometheus/api/v1/query"}, "leave /api/v1 out"),
    "matchers": ({"matchers": 'job="x"} or vector(1) #'}, "label matchers"),
    "braces": ({"matchers": '{job="x"}'}, "label matchers"),
    "label": ({"podLabel": "pod-name"}, "name of a label"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_meant_is_refused_without_the_secret(kind: str) -> None:
    given, says = REFUSED[kind]

    with pytest.raises(ConfigError) as refusal:
        parse_settings({"promql": given})

    assert says in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "matchers",
    ['job="x"', "job=~'a|b', cluster!=\"c\"", r'pod!~"a\"}b.*",x="é"', ' a = "b" '],
)
def test_lists_of_matchers_are_taken(matchers: str) -> None:
    assert parse_settings({"promql": {"matchers": matchers}}).promql.matchers == matchers.strip()
