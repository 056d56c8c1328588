"""Checks of our own servers: what listens where they are to listen, and whether it is ours."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from http import HTTPStatus

import httpx

from deployments.checks.check import Check, failed, ok
from policy.settings import Settings
from tasks.http import shown

PREFECT_VARIABLE = "PREFECT_API_URL"


async def check_endpoint(settings: Settings) -> Check:
    """The port of our HTTP endpoint is free, or it is we who answer there."""
    name = "http endpoint"
    host, port = settings.server.host, settings.server.port
    answer = await _get(f"http://{_in_url(host)}:{port}/health", loopback=True)
    if answer is not None and "flows" in _json(answer):
        return ok(name, f"mlo answers at {host}:{port}: {_json(answer).get('status')}")
    if answer is None and (problem := _cannot_bind(host, port)) is None:
        return ok(name, f"{host}:{port} is free: mlo is not running here")
    return failed(
        name,
        f"{host}:{port} is used by another program"
        if answer is not None
        else f"{host}:{port}: {problem}",
        mend="end what listens there, or set server.port",
    )


async def check_prefect(settings: Settings, *, environ: Mapping[str, str]) -> Check:
    """The Prefect server that the operator names answers; without one, ours can be started."""
    name = "prefect"
    if named := environ.get(PREFECT_VARIABLE):
        where = _shown(named)
        answer = await _get(f"{named.rstrip('/')}/health", loopback=False)
        if answer is not None and answer.status_code == HTTPStatus.OK:
            return ok(name, f"the server of {PREFECT_VARIABLE} answers at {where}")
        said = "does not answer" if answer is None else f"answers {answer.status_code}"
        return failed(
            name,
            f"the server of {PREFECT_VARIABLE}, {where}, {said}",
            mend=f"start it, correct {PREFECT_VARIABLE}, or unset it: then mlo starts its own",
        )
    port = settings.prefect.port
    answer = await _get(f"http://127.0.0.1:{port}/api/health", loopback=True)
    if answer is not None and answer.status_code == HTTPStatus.OK:
        return ok(name, f"a Prefect server answers at 127.0.0.1:{port}")
    if answer is None and _cannot_bind("127.0.0.1", port) is None:
        return ok(name, f"127.0.0.1:{port} is free for the server that `mlo up` starts")
    return failed(
        name,
        f"127.0.0.1:{port} is used by something that is no Prefect server",
        mend=f"end it, set prefect.port, or name a server in {PREFECT_VARIABLE}",
    )


async def _get(url: str, *, loopback: bool) -> httpx.Response | None:
    """The answer, or None when nobody answers HTTP there within two seconds."""
    try:
        # A proxy has no way to our loopback; to a server elsewhere it may be the only one.
        async with httpx.AsyncClient(timeout=2.0, trust_env=not loopback) as client:
            return await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None


def _cannot_bind(host: str, port: int) -> str | None:
    """Why nothing can listen there; None when something can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as refusal:
        return refusal.strerror or "cannot be used"
    return None


def _json(answer: httpx.Response) -> Mapping[str, object]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown(url: str) -> str:
    try:
        return shown(httpx.URL(url))
    except httpx.InvalidURL:
        return "which is not a URL"
