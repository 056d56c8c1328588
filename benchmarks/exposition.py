"""How fast a metrics page is read: read_pages against prometheus_client's parser.

    python -m benchmarks.exposition [REPEATS]

Prints the best of the repeats in MB/s (millions of bytes). prometheus_client parses the whole
page, read_pages takes out the families that the optimizer uses; that is the point of it.
"""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from policy.scrape import FAMILIES
from tasks.exposition import read_pages

PAGES = Path(__file__).parent.parent / "tests" / "fixtures" / "metrics"
TENANTS = (10, 200, 2000)


def main(*, repeats: int) -> None:
    print(f"{'page':<24}{'MB':>6}{'rows':>8}{'read_pages':>12}{'reference':>12}{'ratio':>8}")
    for tenants in TENANTS:
        name = f"mimir-all-{tenants}-tenants"
        page = gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes())
        rows = read_pages({"pod": page}, families=FAMILIES).rows.height
        ours, theirs = compare(page, repeats=repeats)
        print(
            f"{name:<24}{len(page) / 1e6:>6.2f}{rows:>8}"
            f"{ours:>7.1f} MB/s{theirs:>7.1f} MB/s{ours / theirs:>7.0f}x"
        )


def compare(page: bytes, *, repeats: int) -> tuple[float, float]:
    def reference() -> None:
        for _ in text_string_to_metric_families(page.decode()):
            pass

    ours = best_seconds(lambda: read_pages({"pod": page}, families=FAMILIES), repeats=repeats)
    theirs = best_seconds(reference, repeats=min(repeats, 3))
    return len(page) / ours / 1e6, len(page) / theirs / 1e6


def best_seconds(call: Callable[[], object], *, repeats: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return min(once() for _ in range(repeats))


if __name__ == "__main__":
    main(repeats=int(sys.argv[1]) if len(sys.argv) > 1 else 20)
