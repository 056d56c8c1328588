"""Write the pages that are made from the code: every setting, every limit.

    make reference

A test compares them with what is in the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from docs import limits_page, settings_page

DOCS: Final = Path(__file__).parent


def texts() -> dict[Path, str]:
    """What each of the pages is to hold."""
    told = (DOCS / "configuration.md").read_text(encoding="utf-8")
    return {
        DOCS / "settings.md": settings_page.page(settings_page.meanings(told)),
        DOCS / "limits.md": limits_page.page(),
    }


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
