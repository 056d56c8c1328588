"""How fast a metrics page is read, beside two peers in Python.

    python -m benchmarks.exposition [REPEATS]

Prints the best of the repeats in MB/s (millions of bytes), on one core. `prometheus_client` parses
the whole page; `re` takes the wanted families out of it with one regular expression per line, as
one would write it by hand; `read_pages` takes them out as the optimizer does. To take out only
what is needed is the point of it. `again` is the same for a pod whose page had the same lines at
the look before, with other values: what most looks are.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

from prometheus_client.parser import text_string_to_metric_families

from policy.scrape import FAMILIES
from tasks.exposition import read_pages
from tasks.exposition_known import KnownPage

PAGES = Path(__file__).parent.parent / "tests" / "fixtures" / "metrics"
TENANTS = (10, 200, 2000)
LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def by_client(page: bytes) -> int:
    families = text_string_to_metric_families(page.decode())
    return sum(
        sample.name in FAMILIES and math.isfinite(sample.value)
        for family in families
        for sample in family.samples
    )


def by_expressions(page: bytes) -> int:
    rows = []
    for line in page.decode().split("\n"):
        found = LINE.match(line)
        if found and found[1] in FAMILIES and math.isfinite(value := float(found[3])):
            rows.append((found[1], dict(LABEL.findall(found[2] or "")), value))
    return len(rows)


def by_us(page: bytes) -> int:
    return read_pages({"pod": page}, families=FAMILIES).rows.height


_KNOWN: dict[str, KnownPage] = {}


def by_us_again(page: bytes) -> int:
    return read_pages({str(len(page)): page}, families=FAMILIES, known=_KNOWN).rows.height


def megabytes_per_second(read: Callable[[bytes], int], page: bytes, *, repeats: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        read(page)
        return time.perf_counter() - began

    return len(page) / min(once() for _ in range(repeats)) / 1e6


def main(*, repeats: int) -> None:
    print(
        f"{'page':<24}{'MB':>6}{'rows':>8}{'read_pages':>12}{'again':>12}{'prometheus_client':>22}{'re':>18}"
    )
    for tenants in TENANTS:
        name = f"mimir-all-{tenants}-tenants"
        page = gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes())
        rows = {read(page) for read in (by_us, by_client, by_expressions)}
        assert len(rows) == 1, f"the readers disagree: {rows}"
        ours = megabytes_per_second(by_us, page, repeats=repeats)
        again = megabytes_per_second(by_us_again, page, repeats=repeats)
        client = megabytes_per_second(by_client, page, repeats=min(repeats, 3))
        expressions = megabytes_per_second(by_expressions, page, repeats=min(repeats, 3))
        print(
            f"{name:<24}{len(page) / 1e6:>6.2f}{rows.pop():>8}{ours:>7.1f} MB/s"
            f"{again:>7.1f} MB/s"
            f"{client:>9.1f} MB/s {ours / client:>5.1f}x"
            f"{expressions:>8.1f} MB/s{ours / expressions:>5.1f}x"
        )


if __name__ == "__main__":
    main(repeats=int(sys.argv[1]) if len(sys.argv) > 1 else 20)
