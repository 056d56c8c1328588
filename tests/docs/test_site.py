"""The site of `make docs`: every page is in it, and it asks nothing of any other host."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
# What a browser fetches by itself; an `a` it only offers.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
NOT_FETCHED = {"canonical", "next", "prev"}


class Fetches(HTMLParser):
    """Addresses that a page makes a browser ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(FETCHED.get(tag, ""))
        if address and given.get("rel") not in NOT_FETCHED:
            self.found.append(address)


def named(nav: object) -> Iterator[str]:
    """The pages below an entry of `nav`."""
    match nav:
        case str():
            yield nav
        case list():
            for entry in nav:
                yield from named(entry)
        case dict():
            yield from named(list(nav.values()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        check=True,
        env={"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"},
    )
    return folder


def test_every_page_is_in_the_navigation_once() -> None:
    settings = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    assert sorted(named(settings["nav"])) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_other_pages_of_the_site_only(page: str) -> None:
    """A file elsewhere is named in backticks: the site does not have it."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")

    assert re.findall(r"\]\((\.\./[^)]*|/[^)]*)\)", text) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_built_page_fetches_nothing_from_elsewhere(page: str, site: Path) -> None:
    fetches = Fetches()
    fetches.feed((site / page).with_suffix(".html").read_text(encoding="utf-8"))

    assert any(address.endswith(".js") for address in fetches.found)
    assert [each for each in fetches.found if re.match(r"(https?:)?//", each)] == []


def test_no_page_draws_with_what_the_site_would_fetch_from_elsewhere() -> None:
    """The theme loads the program that draws Mermaid from another host."""
    drawn = [
        page
        for page in PAGES
        if re.search(r"^ *```mermaid", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)
    ]

    assert drawn == []
