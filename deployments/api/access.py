"""Who may look, and who may act: two bearer tokens.

Looking needs a token unless the endpoint listens on this machine only, and no token is set. Acting
always needs the operator's; where none is set, nobody acts over HTTP.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Final

from fastapi import Header, HTTPException, status
from pydantic import SecretStr

from policy.settings.connection import Server

SCHEME: Final = "bearer "
UNAUTHORIZED: Final = "send the header `Authorization: Bearer TOKEN`"

AuthorizationHeader = Annotated[str | None, Header()]
HostHeader = Annotated[str | None, Header()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules, by the settings of the moment.

    Attributes:
        server: the settings, asked at each request.
    """

    server: Callable[[], Server]

    def look(self, authorization: AuthorizationHeader = None, host: HostHeader = None) -> None:
        """Let the request look.

        Raises:
            HTTPException: 401 without a token that may, 403 for a page of another site.
        """
        server = self.server()
        tokens = [token for token in (server.viewer_token, server.operator_token) if token]
        if any(_is(authorization, token) for token in tokens):
            return
        if server.viewer_token or not is_loopback(server.host):
            raise _unauthorized()
        # A name that another site points at this machine: its pages could read along.
        if not is_loopback(_hostname(host)):
            raise HTTPException(status.HTTP_403_FORBIDDEN, f"{host} is no name of this machine")

    def ask(self, authorization: AuthorizationHeader = None) -> None:
        """Let the request ask in SQL, which always needs a token: a question may be a large one.

        Raises:
            HTTPException: 401 without a token, 403 where there is none.
        """
        server = self.server()
        tokens = [token for token in (server.viewer_token, server.operator_token) if token]
        if not tokens:
            raise HTTPException(
                status.HTTP_403_FORBIDDEN, "set server.viewerToken to allow SQL over HTTP"
            )
        if not any(_is(authorization, token) for token in tokens):
            raise _unauthorized()

    def act(self, authorization: AuthorizationHeader = None) -> None:
        """Let the request change something.

        Raises:
            HTTPException: 401 without a token, 403 where it may only look, or nobody may act.
        """
        server = self.server()
        if server.operator_token is None:
            raise HTTPException(
                status.HTTP_403_FORBIDDEN, "set server.operatorToken to allow changes over HTTP"
            )
        if _is(authorization, server.operator_token):
            return
        if server.viewer_token and _is(authorization, server.viewer_token):
            raise HTTPException(
                status.HTTP_403_FORBIDDEN, "this token may look, and not change anything"
            )
        raise _unauthorized()


def _is(authorization: str | None, token: SecretStr) -> bool:
    if authorization is None or not authorization.lower().startswith(SCHEME):
        return False
    said = authorization[len(SCHEME) :].strip()
    return hmac.compare_digest(said.encode(), token.get_secret_value().encode())


def _unauthorized() -> HTTPException:
    return HTTPException(
        status.HTTP_401_UNAUTHORIZED, UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"}
    )


def _hostname(host: str | None) -> str:
    """The name in a Host header, without its port."""
    said = host or ""
    if said.startswith("["):
        return said[1:].partition("]")[0]
    return said.partition(":")[0]


def is_loopback(name: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
