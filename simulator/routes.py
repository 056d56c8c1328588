"""Which page answers which path; no sockets here, so tests may ask without a server.

Every process answers below its own name, as if it had an address of its own. Faults, blasts and
calm are ordered below `/simulator`, which no real Mimir has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from simulator import cardinality, documents
from simulator.attribution_page import PATH as ATTRIBUTION_PATH
from simulator.attribution_page import attribution_page
from simulator.cluster import Cluster
from simulator.errors import SimulatorError
from simulator.faults import Fault
from simulator.pages import metrics_page
from simulator.processes import Process

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_JSON: Final = "application/json"
_YAML: Final = "text/yaml"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked; header names in lower case."""

    path: str
    method: str = "GET"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes back, not compressed."""

    body: str
    status: int = 200
    content_type: str = _TEXT


def respond(cluster: Cluster, request: Request) -> Answer:
    """Let the cluster catch up with its clock, and answer one request."""
    cluster.advance()
    name, _, rest = request.path.lstrip("/").partition("/")
    if name == "simulator":
        return _order(cluster, request, what=rest)
    process = cluster.processes.get(name)
    page = _PAGES.get(rest)
    if process is None or page is None:
        return Answer(status=404, body="404 page not found\n")
    if request.method != "GET":
        return Answer(status=405, body="only GET is served here\n")
    if cluster.suffers(name, fault="unreachable"):
        return Answer(status=503, body="a fault makes this process unreachable\n")
    return page(cluster, process, request)


def _metrics(cluster: Cluster, process: Process, _request: Request) -> Answer:
    page = metrics_page(cluster, process)
    if cluster.suffers(process.name, fault="truncated"):
        page = page[: page.rindex(" ", 0, len(page) // 2)]
    return Answer(content_type=METRICS_TYPE, body=page)


def _attribution(_cluster: Cluster, process: Process, _request: Request) -> Answer:
    page = attribution_page(process)
    if not page:
        return Answer(status=404, body="404 page not found\n")
    return Answer(content_type=METRICS_TYPE, body=page)


def _runtime_config(_cluster: Cluster, process: Process, request: Request) -> Answer:
    diff = "mode=diff" in request.query.split("&")
    return Answer(
        content_type=_YAML, body=documents.runtime_config(process.config.current, diff=diff)
    )


def _config(cluster: Cluster, process: Process, _request: Request) -> Answer:
    return Answer(content_type=_YAML, body=documents.config(cluster, process))


def _user_limits(_cluster: Cluster, process: Process, request: Request) -> Answer:
    tenant = request.headers.get("x-scope-orgid", "")
    if not tenant:
        return Answer(status=401, body="no org id\n")
    body = documents.user_limits(process.config.current, tenant=tenant)
    return Answer(content_type=_JSON, body=body)


def _label_values(cluster: Cluster, process: Process, request: Request) -> Answer:
    if process.target not in {"query-frontend", "querier"}:
        return Answer(status=404, body="404 page not found\n")
    tenant = request.headers.get("x-scope-orgid", "")
    if not tenant:
        return Answer(status=401, body="no org id\n")
    if not process.config.current.effective(tenant)["cardinality_analysis_enabled"]:
        body = f"cardinality analysis is disabled for the tenant: {tenant}\n"
        return Answer(status=400, body=body)
    if why := cardinality.refusal(request.query):
        return Answer(status=400, body=f"{why}\n")
    body = cardinality.label_values(cluster, tenant=tenant, query=request.query)
    return Answer(content_type=_JSON, body=body)


def _build_info(_cluster: Cluster, _process: Process, _request: Request) -> Answer:
    return Answer(content_type=_JSON, body=documents.build_info())


def _ready(_cluster: Cluster, _process: Process, _request: Request) -> Answer:
    return Answer(body="ready\n")


def _all_user_stats(cluster: Cluster, process: Process, request: Request) -> Answer:
    """JSON for who asks for it, a table for browsers; it needs every ingester."""
    if process.target != "distributor":
        return Answer(status=404, body="404 page not found\n")
    for ingester in cluster.ingesters:
        if cluster.suffers(ingester.name, fault="unreachable"):
            return Answer(status=500, body=f"{ingester.name} did not answer\n")
    stats = documents.all_user_stats(cluster)
    if _JSON in request.headers.get("accept", ""):
        return Answer(content_type=_JSON, body=json.dumps(stats))
    rows = "".join(
        f"<tr><td>{escape(str(row['userID']))}</td><td>{row['numSeries']}</td></tr>"
        for row in stats
    )
    return Answer(content_type="text/html", body=f"<table>{rows}</table>\n")


_PAGES: Final[dict[str, Callable[[Cluster, Process, Request], Answer]]] = {
    "metrics": _metrics,
    ATTRIBUTION_PATH: _attribution,
    "runtime_config": _runtime_config,
    "config": _config,
    "api/v1/user_limits": _user_limits,
    "api/v1/status/buildinfo": _build_info,
    "prometheus/api/v1/cardinality/label_values": _label_values,
    "ready": _ready,
    "distributor/all_user_stats": _all_user_stats,
}


def _order(cluster: Cluster, request: Request, *, what: str) -> Answer:
    """Obey an order of a drill, or tell who is there to be ordered.

    Orders are `{process, kind, seconds}` to `faults`, `{tenant, factor, seconds, kind}` to
    `blast`, and anything to `calm`. The kind `none` clears every fault of the process.
    """
    if what == "" and request.method == "GET":
        tenants = [tenant.name for tenant in cluster.plan.tenants]
        body = json.dumps({"tenants": tenants, "processes": list(cluster.processes)})
        return Answer(content_type=_JSON, body=body)
    obey = _ORDERS.get(what)
    if obey is None:
        return Answer(status=404, body="404 page not found\n")
    if request.method != "POST":
        return Answer(status=405, body="orders are sent with POST\n")
    try:
        obey(cluster, json.loads(request.body))
    except (SimulatorError, ValueError, TypeError, AttributeError, KeyError) as exc:
        return Answer(status=400, body=f"not an order: {exc}\n")
    return Answer(content_type=_JSON, body="{}")


def _blast(cluster: Cluster, order: dict[str, Any]) -> None:
    cluster.blast(
        str(order["tenant"]),
        factor=float(order["factor"]),
        seconds=float(order["seconds"]),
        kind=order.get("kind", "samples"),
    )


def _fault(cluster: Cluster, order: dict[str, Any]) -> None:
    if order["kind"] == "none":
        cluster.mend(str(order["process"]))
        return
    seconds = order.get("seconds")
    cluster.inject(
        Fault(
            process=str(order["process"]),
            kind=order["kind"],
            seconds=None if seconds is None else float(seconds),
        )
    )


def _calm(cluster: Cluster, _order: dict[str, Any]) -> None:
    cluster.calm()


_ORDERS: Final[dict[str, Callable[[Cluster, dict[str, Any]], None]]] = {
    "blast": _blast,
    "calm": _calm,
    "faults": _fault,
}
