"""What Mimir attributes by label, read from pages of processes and in PromQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import polars as pl
import pytest

from policy.cost.attribution import ATTRIBUTED, SAMPLES_FAMILY, SERIES_FAMILY
from policy.settings import Settings, parse_settings
from simulator import Cluster, Plan, endpoints, roster, running
from tasks.attribution import attributed, read_attribution
from tasks.http import MimirUnavailable

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = rb"""# HELP cortex_ingester_attributed_active_series Active series per user and attribution.
# TYPE cortex_ingester_attributed_active_series gauge
cortex_ingester_attributed_active_series{service="x",team="blue",tenant="a",tracker="t"} 3
cortex_ingester_attributed_active_series{service="y",team="blue",tenant="a",tracker="t"} 4
cortex_ingester_attributed_active_series{x=",team=\"no\"",team="r\\e\"d",tenant="a"} 2e+01
cortex_ingester_attributed_active_series{subteam="green",tenant="a",tracker="other"} 9
cortex_ingester_attributed_active_series{team="__missing__",tenant="b",tracker="t"} NaN
cortex_ingester_attributed_active_native_histogram_series{team="blue",tenant="a",tracker="t"} 8
cortex_distributor_received_attributed_samples_total{team="blue",tenant="a"} 1.5e+06 17000000000
"""


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str, str], bytes | None]], str]]:
    """Start a server that answers a path and a body; None is a 404."""
    servers = []

    def start(answer: Callable[[str, str], bytes | None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                told = answer(self.path, body)
                self.send_response(404 if told is None else 200)
                self.send_header("Content-Length", str(len(told or b"")))
                self.end_headers()
                self.wfile.write(told or b"")

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def settings(**tree: object) -> Settings:
    return parse_settings({"costControl": {"attribution": {"label": "team"}}, **tree})


def test_values_of_the_label_are_added_up_whatever_else_is_told() -> None:
    found = attributed({"i0": PAGE, "i1": PAGE}, label="team", at=NOON)

    assert found.schema == ATTRIBUTED
    one = [
        (SAMPLES_FAMILY, "a", "blue", 1.5e6),
        (SERIES_FAMILY, "a", "blue", 7.0),
        (SERIES_FAMILY, "a", 'r\\e"d', 20.0),
    ]
    assert sorted(found.drop("at").rows()) == sorted(
        (pod, *row) for pod in ("i0", "i1") for row in one
    )


async def test_every_process_of_a_simulated_mimir_tells_what_it_attributes(tmp_path: Path) -> None:
    """
    Half of the shared tenant's series carry the label payments, on each of three ingesters.
    """
    file, now = tmp_path / "runtime.json", [1_790_000_000.0]
    file.write_text('{"overrides": {}}')
    cluster = Cluster(Plan(tenants=roster(3), runtime_files=[file]), clock=lambda: now[0])
    now[0] += 120
    with running(cluster) as server:
        urls = endpoints(server.server_address[1])
        found = await read_attribution(
            settings(mimir={"endpoints": urls}), label="team", clock=lambda: NOON
        )

    series = found.filter(family=SERIES_FAMILY, team="payments")
    half = [ingester.tenants["diurnal-1"].active * 0.5 // 1 for ingester in cluster.ingesters]
    assert sorted(series["value"]) == sorted(half)
    assert set(found["tenant"]) == {"diurnal-1"}
    assert found.filter(family=SAMPLES_FAMILY)["team"].unique().sort().to_list() == [
        "__missing__",
        "payments",
        "search",
    ]


async def test_a_process_without_the_page_tells_nothing_and_is_no_fault(
    serve: Callable[..., str],
) -> None:
    with_page = serve(lambda path, _: PAGE if path == "/usage-metrics" else None)
    without = serve(lambda *_: None)

    found = await read_attribution(
        settings(mimir={"endpoints": [with_page, without]}), label="team", clock=lambda: NOON
    )

    assert found["pod"].unique().to_list() == [with_page]


async def test_a_page_that_is_cut_short_is_not_believed(serve: Callable[..., str]) -> None:
    url = serve(lambda *_: PAGE[:-7])

    with pytest.raises(MimirUnavailable, match="cut short"):
        await read_attribution(
            settings(mimir={"endpoints": [url]}), label="team", clock=lambda: NOON
        )


async def test_where_no_process_has_the_page_the_way_out_is_told(serve: Callable[..., str]) -> None:
    url = serve(lambda *_: None)

    with pytest.raises(MimirUnavailable, match="registry-path"):
        await read_attribution(
            settings(mimir={"endpoints": [url]}), label="team", clock=lambda: NOON
        )


async def test_a_real_prometheus_tells_the_same_as_the_pages(
    start_prometheus: Callable[..., AbstractContextManager[str]], tmp_path: Path
) -> None:
    file, now = tmp_path / "runtime.json", [1_790_000_000.0]
    file.write_text('{"overrides": {}}')
    cluster = Cluster(Plan(tenants=roster(3), runtime_files=[file]), clock=lambda: now[0])
    now[0] += 120
    with running(cluster) as server:
        urls = [
            url
            for url in endpoints(server.server_address[1])
            if "distributor" in url or "ingester" in url
        ]
        pods = {url.rpartition("/")[2]: url for url in urls}
        with start_prometheus(pods, page="usage-metrics") as url:
            through = settings(metricsSource="promql", promql={"url": url, "delay": "0s"})
            async with asyncio.timeout(20):
                while True:
                    asked = await now_told(through)
                    if asked["pod"].n_unique() == len(pods):
                        break
                    await asyncio.sleep(0.2)
        read = await now_told(settings(mimir={"endpoints": urls}))

    def values(found: pl.DataFrame) -> list[tuple[object, ...]]:
        short = pl.col("pod").str.split("/").list.last()
        return found.with_columns(pod=short).drop("at").sort("pod", "team").rows()

    assert values(asked) == values(read)


async def now_told(through: Settings) -> pl.DataFrame:
    return await read_attribution(through, label="team", clock=lambda: datetime.now(UTC))


async def test_the_same_is_asked_in_promql(serve: Callable[..., str]) -> None:
    asked: list[str] = []

    def answer(_path: str, body: str) -> bytes:
        asked.append(parse_qs(body)["query"][0])
        labels = {"__name__": SERIES_FAMILY, "pod": "i0", "tenant": "a", "team": "blue"}
        result = [{"metric": labels, "value": [1_790_000_000, "7"]}]
        data = {"resultType": "vector", "result": result}
        return json.dumps({"status": "success", "data": data}).encode()

    url = serve(answer)

    found = await read_attribution(
        settings(metricsSource="promql", promql={"url": url, "matchers": 'job="m"'}),
        label="team",
        clock=lambda: NOON,
    )

    assert found.drop("at").rows() == [("i0", SERIES_FAMILY, "a", "blue", 7.0)]
    series = f'{{__name__=~"{SAMPLES_FAMILY}|{SERIES_FAMILY}",team!="",job="m"}}'
    assert asked == [f"sum by (__name__, pod, tenant, team) ({series})"]
