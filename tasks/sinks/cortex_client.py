"""Requests of Cortex's overrides API, one tenant each, and what its refusals mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx

from policy.catalogue import numbers
from policy.errors import ConfigError
from tasks.http import check, failure, shown

TENANT_HEADER: Final = "X-Scope-OrgID"
PATH: Final = "/api/v1/user-overrides"

_UNKNOWN: Final = "not found"  # Cortex answers 400 where its documentation says 404
_SHOWN: Final = 200  # characters of a refusal


class Refused(ConfigError):  # noqa: N818 - what Cortex did
    """Cortex takes no such limits of this tenant."""


class CortexOverrides:
    """The API of one Cortex."""

    def __init__(self, base_url: str, *, client: httpx.Client) -> None:
        """The API at an address; `client` carries credentials and time-outs."""
        self._url = base_url.rstrip("/") + PATH
        self._client = client

    @property
    def where(self) -> str:
        """The address, for people."""
        return shown(httpx.URL(self._url))

    def told(self, tenant: str) -> dict[str, float]:
        """The numeric overrides of a tenant; empty where Cortex knows none.

        Raises:
            ConfigError: the API refuses us.
            MimirUnavailable: it does not answer.
        """
        answer = self._send("GET", tenant)
        unknown = answer.status_code == HTTPStatus.BAD_REQUEST and _UNKNOWN in answer.text
        if unknown or answer.status_code == HTTPStatus.NOT_FOUND:
            return {}
        check(answer)
        try:
            told = json.loads(answer.content)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise ConfigError(f"{self.where} answered no JSON object: is a proxy in between?")
        return {
            name: float(value)
            for name, value in told.items()
            if name in numbers() and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def merge(self, tenant: str, limits: Mapping[str, float]) -> None:
        """Set these limits of a tenant; all others stay.

        Raises:
            Refused: one is not allowed, or above a hard limit; none of them is set.
            ConfigError: the API refuses us.
            MimirUnavailable: it did not answer; they may be set.
        """
        whole = {
            name: int(value) if value.is_integer() else value for name, value in limits.items()
        }
        answer = self._send("POST", tenant, body=whole)
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            said = " ".join(answer.text.split())[:_SHOWN]
            raise Refused(
                f"Cortex refuses {', '.join(sorted(limits))} of {tenant} ({said}): enter them in "
                "api_allowed_limits of its runtime configuration, raise hard_overrides, or have "
                "them left alone by limits.disabled"
            )
        check(answer)

    def delete(self, tenant: str) -> None:
        """Drop every override of a tenant.

        Raises:
            ConfigError: the API refuses us.
            MimirUnavailable: it did not answer; they may be dropped.
        """
        answer = self._send("DELETE", tenant)
        if answer.status_code != HTTPStatus.NOT_FOUND:
            check(answer)

    def _send(
        self, method: str, tenant: str, *, body: Mapping[str, float] | None = None
    ) -> httpx.Response:
        try:
            return self._client.request(
                method, self._url, headers={TENANT_HEADER: tenant}, json=body
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(error, url=self._url) from error
