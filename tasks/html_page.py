"""What each page of ours is made with: templates that escape, digests of what may run in it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def templates_of(folder: Path) -> Environment:
    """The templates in a folder; what is put into them is text, and a missing name is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def digest(text: str) -> str:
    """How a Content-Security-Policy names a script or a style that is in the page."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
