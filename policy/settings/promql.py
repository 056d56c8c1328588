"""Where PromQL is asked, as whom, and how much at once.

A Prometheus, or Mimir itself, that scrapes Mimir's processes. One way of authentication at a
time: which of two would win nobody could tell.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from policy.settings.section import Section
from policy.settings.values import BaseUrl, Count, Duration, Faults, Name, PositiveDuration

_MATCHER: Final = r"""[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_MATCHERS: Final = re.compile(rf"\s*{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _without_api(url: str) -> str:
    if re.search(r"/api(/v1(/\w+)?)?$", url):
        raise ValueError("ends in the path of the API; leave /api/v1 out, it is added")
    return url


def _matchers(text: str) -> str:
    if not _MATCHERS.fullmatch(text):
        raise ValueError('is no list of label matchers; write it like job=~".*mimir.*",cluster="a"')
    return text.strip()


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError("is not the name of a label; write it like pod or instance")
    return text


class BasicAuth(Section):
    """A user and a password; the file is read anew at every look."""

    username: Name | None = None
    password: SecretStr | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = self.password is not None or self.password_file is not None
        if self.password is not None and self.password_file is not None:
            raise Faults({"passwordFile": "is written beside password; keep one"})
        if given and self.username is None:
            raise Faults({"username": "is missing beside the password"})
        if self.username is not None and not given:
            raise Faults({"password": "is missing beside the username; or name a passwordFile"})
        return self


class Tls(Section):
    """Whom we trust, and who we are, in PEM files."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise Faults({"certFile": "is missing beside keyFile"})
        return self


class Promql(Section):
    """A server that answers PromQL about Mimir's own metrics."""

    url: Annotated[BaseUrl, AfterValidator(_without_api)] = "http://127.0.0.1:9090"
    tenant: Name | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    basic_auth: BasicAuth = BasicAuth()
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    tls: Tls = Tls()

    matchers: Annotated[str, AfterValidator(_matchers)] = 'job=~".*mimir.*"'
    pod_label: Annotated[str, AfterValidator(_label)] = "pod"
    window: PositiveDuration = timedelta(minutes=2)
    delay: Duration = timedelta(seconds=5)

    timeout: PositiveDuration = timedelta(seconds=10)
    total_timeout: PositiveDuration = timedelta(seconds=30)
    max_series_per_query: Count = 50_000
    max_concurrent_queries: Count = 4

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        headers = {name.lower() for name in self.headers}
        ways = {
            "basicAuth": self.basic_auth.username is not None,
            "bearerToken": self.bearer_token is not None,
            "bearerTokenFile": self.bearer_token_file is not None,
            "headers": "authorization" in headers,
        }
        used = [way for way, is_used in ways.items() if is_used]
        if len(used) > 1:
            raise Faults({used[-1]: f"authenticates as {used[0]} does already; keep one"})
        if self.tenant is not None and "x-scope-orgid" in headers:
            raise Faults({"headers": "names X-Scope-OrgID, which is what tenant sets; keep one"})
        return self
