"""docs/maths.md calculates: what its examples print is what the page says they print."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "maths.md"
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_print_what_the_page_says() -> None:
    """One after the other: a later one uses what an earlier one has defined."""
    text = PAGE.read_text(encoding="utf-8")
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    known: dict[str, object] = {}
    failures: list[str] = []
    for block in FENCED.finditer(text):
        line = text.count("\n", 0, block.start(1))
        example = parser.get_doctest(block[1], known, "maths", str(PAGE), line)
        runner.run(example, out=failures.append, clear_globs=False)
        known |= example.globs

    assert failures == []
    assert runner.summarize(verbose=False).attempted > 40


def test_each_section_with_a_formula_has_an_example_or_names_the_module() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]

    assert [part.split("\n")[0] for part in sections if not re.search(r">>> |`policy/", part)] == []
