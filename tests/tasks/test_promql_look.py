"""Looking at Mimir through PromQL: what is asked, what is made of the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import httpx
import pytest

from policy.errors import ConfigError
from policy.frames import READINGS
from policy.scrape import RUNTIME_HASH, SAMPLES_IN, SERIES_ACTIVE, Scrape
from policy.settings import parse_settings
from policy.settings.promql import Promql
from tasks.promql import ask_promql
from tasks.promql_http import PromqlUnavailable, promql_client
from tasks.promql_pair import Pair

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def promql(**given: object) -> Promql:
    return parse_settings({"promql": {"url": "http://prom", "delay": "0", **given}}).promql


def seconds(moment: datetime) -> float:
    return moment.timestamp()


def ago(count: float) -> float:
    return seconds(NOON) - count


@dataclass
class Server:
    """Targets and series by their labels; answers what we ask and nothing else.

    `series` maps (family, pod, further labels as JSON) to its points.
    """

    up: list[tuple[dict[str, str], float, float]] = field(default_factory=list)
    scrapes: int = 1  # of each target in the window
    series: dict[tuple[str, str, str], list[tuple[float, str]]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def target(self, pod: str, *, up: float = 1, scraped: float = 5, **labels: str) -> None:
        self.up.append(({"pod": pod, **labels}, up, scraped))

    def tells(self, family: str, pod: str, *points: tuple[float, str], **labels: str) -> None:
        self.series[family, pod, json.dumps(labels)] = [(ago(at), value) for at, value in points]

    def answer(self, request: httpx.Request) -> httpx.Response:
        form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        query = form["query"]
        if query.startswith("up{"):
            return vector((labels, seconds(NOON), f"{up:g}") for labels, up, _ in self.up)
        if query.startswith("timestamp("):
            return vector(
                (labels, seconds(NOON), str(ago(scraped))) for labels, _, scraped in self.up
            )
        if query.startswith("count_over_time("):
            return vector((labels, seconds(NOON), str(self.scrapes)) for labels, _, _ in self.up)
        if query.startswith("count by"):
            counts: dict[tuple[str, str], int] = {}
            for family, pod, _ in self.series:
                counts[family, pod] = counts.get((family, pod), 0) + 1
            return vector(
                ({"__name__": family, "pod": pod}, seconds(NOON), str(count))
                for (family, pod), count in counts.items()
            )
        return self._matrix(query)

    def _matrix(self, query: str) -> httpx.Response:
        assert query.endswith("ms]")
        one_pod = 'pod=~"' in query
        result = [
            {
                "metric": {"__name__": family, "pod": pod, **json.loads(labels)},
                "values": [list(point) for point in points],
            }
            for (family, pod, labels), points in self.series.items()
            if family in query and (not one_pod or pod.replace("-", "\\\\-") in query)
        ]
        return success("matrix", result)


def vector(rows: object) -> httpx.Response:
    result = [
        {"metric": labels, "value": [at, value]}
        for labels, at, value in rows  # type: ignore[attr-defined]
    ]
    return success("vector", result)


def success(kind: str, result: Sequence[Mapping[str, object]]) -> httpx.Response:
    data = {"resultType": kind, "result": result}
    return httpx.Response(200, json={"status": "success", "data": data})


async def looked(server: Server, **given: object) -> Pair:
    settings = promql(**given)
    async with promql_client(settings, transport=httpx.MockTransport(server.answer)) as client:
        return await ask_promql(settings, client=client, clock=lambda: NOON)


def values(scrape: Scrape) -> list[tuple[str, float]]:
    return sorted(scrape.readings.select("pod", "value").rows())


@pytest.fixture
def server() -> Server:
    """One distributor with two scrapes."""
    made = Server()
    made.target("d-0")
    made.tells(SAMPLES_IN, "d-0", (20, "100"), (5, "400"), user="a")
    return made


async def test_where_nothing_is_heard_a_clock_that_differs_is_named() -> None:
    """The other side knows nothing of a time that is to come."""
    settings = promql()

    def answer(_: httpx.Request) -> httpx.Response:
        response = success("vector", [])
        response.headers["Date"] = format_datetime(NOON - timedelta(minutes=10), usegmt=True)
        return response

    async with promql_client(settings, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(PromqlUnavailable) as refusal:
            await ask_promql(settings, client=client, clock=lambda: NOON)

    assert str(refusal.value).endswith(
        "; our clock is 600 s ahead of that of http://prom: let NTP set the clocks of both machines"
    )


async def test_how_far_the_other_clock_is_ahead_comes_with_the_look(server: Server) -> None:
    tell = server.answer

    def answer(request: httpx.Request) -> httpx.Response:
        response = tell(request)
        response.headers["Date"] = format_datetime(NOON + timedelta(seconds=2), usegmt=True)
        return response

    server.answer = answer  # type: ignore[method-assign]

    assert (await looked(server)).current.ahead == {"http://prom": 2.0}


async def test_no_more_is_asked_for_than_the_newest_three_scrapes(server: Server) -> None:
    """
    Eight scrapes in two minutes, the newest 5 s ago: a fourth would be 50 s ago.
    """
    server.scrapes = 8

    pair = await looked(server, window="2m")

    assert [form["query"] for form in server.asked if form["query"].endswith("[42500ms]")]
    assert pair.current.answered == pair.previous.answered == ("d-0",)


async def test_the_two_newest_scrapes_come_in_one_look_each_at_its_own_time(
    server: Server,
) -> None:
    pair = await looked(server)

    assert pair.current.readings.schema == READINGS
    assert pair.current.readings.row(0, named=True) == {
        **dict.fromkeys(READINGS.names()),
        "at": NOON - timedelta(seconds=5),
        "pod": "d-0",
        "family": SAMPLES_IN,
        "user": "a",
        "value": 400.0,
    }
    assert values(pair.previous) == [("d-0", 100.0)]
    assert pair.previous.readings["at"].to_list() == [NOON - timedelta(seconds=20)]
    assert pair.current.at == NOON
    assert pair.current.coverage == 1.0


async def test_all_questions_are_about_one_moment_as_long_ago_as_the_delay(server: Server) -> None:
    await looked(server, delay="3s")

    assert {float(form["time"]) for form in server.asked} == {ago(3)}


async def test_the_matchers_narrow_every_question(server: Server) -> None:
    await looked(server, matchers='job="x",cluster=~"b.*"')

    assert len(server.asked) == 5
    assert all('job="x",cluster=~"b.*"' in form["query"] for form in server.asked)


async def test_a_series_that_vanished_is_not_in_the_newest_scrape(server: Server) -> None:
    server.tells(SAMPLES_IN, "d-0", (20, "7"), user="gone")

    pair = await looked(server)

    assert pair.current.readings["user"].to_list() == ["a"]
    assert sorted(pair.previous.readings["user"]) == ["a", "gone"]


async def test_what_is_no_number_is_no_measurement(server: Server) -> None:
    for place, value in enumerate(["NaN", "+Inf", "-Inf"]):
        server.tells(SERIES_ACTIVE, "d-0", (5, value), user=f"u{place}")

    pair = await looked(server)

    assert pair.current.readings["user"].to_list() == ["a"]


async def test_doubled_and_future_points_and_points_before_the_window_do_no_harm(
    server: Server,
) -> None:
    server.tells(
        SAMPLES_IN, "d-0", (500, "1"), (20, "100"), (5, "400"), (5, "400"), (-60, "9"), user="a"
    )

    pair = await looked(server)

    assert values(pair.current) == [("d-0", 400.0)]
    assert values(pair.previous) == [("d-0", 100.0)]


async def test_series_that_differ_in_labels_we_drop_stay_apart_to_be_summed(
    server: Server,
) -> None:
    server.tells(SAMPLES_IN, "d-0", (5, "3"), user="a", type="float")
    server.tells(SAMPLES_IN, "d-0", (5, "3"), user="a", type="histogram")

    pair = await looked(server)

    assert values(pair.current) == [("d-0", 3.0), ("d-0", 3.0), ("d-0", 400.0)]


async def test_a_tenants_id_comes_through_whole(server: Server) -> None:
    strange = "a!*'()é\"\\\n|b"
    server.tells(SAMPLES_IN, "d-0", (5, "1"), user=strange)

    pair = await looked(server)

    assert strange in pair.current.readings["user"].to_list()


async def test_a_pod_whose_scrape_fails_has_failed_and_what_it_said_before_does_not_count(
    server: Server,
) -> None:
    server.target("d-1", up=0)
    server.tells(SAMPLES_IN, "d-1", (20, "50"), user="a")

    pair = await looked(server)

    assert pair.current.answered == ("d-0",)
    assert "up is 0" in pair.current.failed["d-1"]
    assert pair.current.coverage == 0.5
    assert values(pair.current) == [("d-0", 400.0)]


async def test_a_pod_that_is_scraped_no_more_has_failed_and_is_not_quiet(server: Server) -> None:
    server.target("d-1", scraped=200)
    server.tells(SAMPLES_IN, "d-1", (200, "50"), user="a")

    pair = await looked(server)

    assert "200 s ago" in pair.current.failed["d-1"]
    assert pair.current.coverage == 0.5


async def test_a_pod_whose_samples_lag_behind_its_up_has_failed(server: Server) -> None:
    server.target("d-1", scraped=5)
    server.tells(SAMPLES_IN, "d-1", (200, "50"), user="a")

    pair = await looked(server)

    assert "older than promql.window" in pair.current.failed["d-1"]


async def test_a_pod_with_nothing_for_us_is_heard(server: Server) -> None:
    server.target("querier-0")

    pair = await looked(server)

    assert pair.current.answered == ("d-0", "querier-0")
    assert pair.previous.answered == ("d-0", "querier-0")


async def test_a_pod_that_is_scraped_twice_is_not_counted_twice(server: Server) -> None:
    server.target("d-0", job="again")

    pair = await looked(server)

    assert "counted twice" in pair.current.failed["d-0"]
    assert pair.current.readings.is_empty()


async def test_a_pod_with_one_scrape_has_no_rate_yet(server: Server) -> None:
    server.target("d-1")
    server.tells(SAMPLES_IN, "d-1", (5, "50"), user="a")

    pair = await looked(server)

    assert pair.current.answered == ("d-0", "d-1")
    assert pair.previous.answered == ("d-0",)


async def test_no_target_at_all_names_the_matchers(server: Server) -> None:
    server.up.clear()

    with pytest.raises(PromqlUnavailable, match=r"knows no target .*promql\.matchers"):
        await looked(server)


async def test_targets_that_are_not_mimirs_name_the_matchers(server: Server) -> None:
    server.series.clear()
    server.tells("process_cpu_seconds_total", "d-0", (5, "1"))

    with pytest.raises(PromqlUnavailable, match=r"no metric of Mimir.*promql\.matchers"):
        await looked(server)


async def test_targets_without_the_label_of_pods_name_the_setting(server: Server) -> None:
    server.up = [({"instance": "10.0.0.1:8080"}, 1, 5)]

    with pytest.raises(ConfigError, match=r"label 'pod'.*promql\.podLabel.*instance"):
        await looked(server)


async def test_many_series_are_shared_out_among_queries_and_come_together_again() -> None:
    server = Server()
    for number in range(6):
        server.target(f"i-{number}")
        for user in "abcd":
            server.tells(SERIES_ACTIVE, f"i-{number}", (20, "1"), (5, "2"), user=user)

    pair = await looked(server, maxSeriesPerQuery=8)

    asked = [form["query"] for form in server.asked if form["query"].endswith("]")]
    assert len(asked) == 3
    assert pair.current.readings.height == pair.previous.readings.height == 24
    assert pair.current.coverage == 1.0


async def test_a_pod_is_taken_as_of_the_newest_scrape_that_all_answers_about_it_have_reached() -> (
    None
):
    """
    A query that is answered a moment before the scrape is stored must not make its families
    look as if they had vanished.
    """
    server = Server()
    server.target("i-0")
    server.tells(SERIES_ACTIVE, "i-0", (35, "1"), (20, "2"), user="a")
    server.tells(RUNTIME_HASH, "i-0", (35, "1"), (20, "1"), (5, "1"), sha256="x")

    pair = await looked(server, maxSeriesPerQuery=1)

    assert set(pair.current.readings["at"]) == {NOON - timedelta(seconds=20)}
    assert pair.current.readings.height == 2
    assert set(pair.previous.readings["at"]) == {NOON - timedelta(seconds=35)}


async def test_rates_go_on_from_the_look_before_when_scrapes_lie_between(server: Server) -> None:
    server.tells(SAMPLES_IN, "d-0", (35, "40"), (20, "100"), (5, "400"), user="a")
    earlier = Server(up=server.up)
    earlier.tells(SAMPLES_IN, "d-0", (35, "40"), user="a")
    known = (await looked(earlier)).current

    pair = await looked(server)

    assert values(pair.since(known)) == [("d-0", 40.0)]
    assert values(pair.since(None)) == [("d-0", 100.0)]


async def test_the_same_scrape_seen_again_gives_its_rate_again(server: Server) -> None:
    known = (await looked(server)).current

    pair = await looked(server)

    assert values(pair.since(known)) == [("d-0", 100.0)]
    assert pair.since(known).answered == ("d-0",)


async def test_a_look_of_long_ago_is_no_beginning_of_a_rate(server: Server) -> None:
    long_ago = Server(up=server.up)
    long_ago.tells(SAMPLES_IN, "d-0", (100, "1"), user="a")
    known = (await looked(long_ago)).current

    pair = await looked(server, window="1m")

    assert values(pair.since(known)) == [("d-0", 100.0)]
