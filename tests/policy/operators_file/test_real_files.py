"""Files as they stand in clusters: what a diff of the edit shows, line by line."""

from __future__ import annotations

from difflib import unified_diff

import pytest

from policy.operators_file import edited
from tests.policy.operators_file.files import NOTHING, Row, limits

CHART = """\
# Source: mimir-distributed/templates/runtime-configmap.yaml
ingester_limits: # limits that each ingester replica enforces
  max_ingestion_rate: 20000
  max_series: 1500000
  max_tenants: 1000
distributor_limits: # limits that each distributor replica enforces
  max_ingestion_rate: 20000
  max_inflight_push_requests: 30000

overrides:
  anonymous: # limits for anonymous that the whole cluster enforces
    # ingestion_tenant_shard_size: 9
    max_global_series_per_user: 1500000
    max_fetched_series_per_query: 100000

  # The payments people, see their ticket.
  'payments':
    ingestion_rate:   350000   # was 200000
    ingestion_burst_size: 3500000
    ruler_max_rules_per_rule_group: 50
    compactor_blocks_retention_period: 1y
    cost_attribution_labels: [team, service]

multi_kv_config:
  mirror_enabled: false
  primary: memberlist
"""

JSONNET = """\
"ingester_limits":
  "max_inflight_push_requests": 30000
"overrides":
  "big_user":
    "ingestion_burst_size": 500000
    "ingestion_rate": 50000
    "max_global_series_per_user": 3000000
  "small_user": {}"""

SIZES = """\
overrides:
  # The sizes. No tenant has these names.
  .small: &small
    ingestion_rate: 10000
    ingestion_burst_size: 100000

  .large: &large
    <<: *small
    ingestion_rate: 100000

  team-a: *small
  team-b: *small       # wants more next year
  team-c:
    <<: *large
    max_global_series_per_user: 5
  team-d: {<<: [*small, *large], max_global_series_per_user: 7}
# the end
"""


def changed_lines(before: str, after: str) -> list[str]:
    diff = list(unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm=""))
    return [line for line in diff[2:] if not line.startswith("@@")]


@pytest.mark.parametrize(
    ("text", "rows", "changes"),
    [
        pytest.param(
            CHART,
            [
                ("anonymous", "ingestion_rate", 5.0),
                ("payments", "ingestion_rate", 400_000.0),
                ("payments", "max_global_series_per_user", 7.0),
                ("search", "ingestion_rate", 9.5),
            ],
            [
                "+    ingestion_rate: 5",
                "-    ingestion_rate:   350000   # was 200000",
                "+    ingestion_rate:   400000   # was 200000",
                "+    max_global_series_per_user: 7",
                '+  "search":',
                "+    ingestion_rate: 9.5",
            ],
            id="the chart's",
        ),
        pytest.param(
            JSONNET,
            [
                ("big_user", "ingestion_rate", 5.0),
                ("small_user", "ingestion_rate", 6.0),
                ("user", "ingestion_rate", 7.0),
            ],
            [
                '-    "ingestion_rate": 50000',
                '+    "ingestion_rate": 5',
                '-  "small_user": {}',
                '+  "small_user": {"ingestion_rate": 6}',
                '+  "user":',
                "+    ingestion_rate: 7",
            ],
            id="that of jsonnet, without an end of its last line",
        ),
        pytest.param(
            SIZES,
            [
                (".small", "ingestion_rate", 4.0),
                ("team-b", "ingestion_rate", 5.0),
                ("team-c", "ingestion_rate", 6.0),
                ("team-d", "max_global_series_per_user", 8.0),
            ],
            [
                "-  .small: &small",
                "+  .small:",
                "+   <<: &small",
                "+   ingestion_rate: 4",
                "-  team-b: *small       # wants more next year",
                "+  team-b:",
                "+    <<: *small       # wants more next year",
                "+    ingestion_rate: 5",
                "-  team-d: {<<: [*small, *large], max_global_series_per_user: 7}",
                "+    ingestion_rate: 6",
                "+  team-d: {<<: [*small, *large], max_global_series_per_user: 8}",
            ],
            id="sizes by anchors",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_diff_shows_our_limits_and_nothing_else(
    text: str, rows: list[Row], changes: list[str], end: str
) -> None:
    before = text.replace("\n", end)

    after, claims = edited(before, claims=NOTHING, wanted=limits(*rows))

    assert after.count("\n") == after.count(end)
    assert changed_lines(text, after.replace(end, "\n")) == changes
    assert edited(after, claims=claims, wanted=limits()) == (before, NOTHING)
