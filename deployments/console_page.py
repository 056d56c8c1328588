"""The page at `/`: one file without a network of its own, which lives on the API."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Response
from fastapi.responses import HTMLResponse

from tasks.html_page import digest

_FOLDER: Final = Path(__file__).parent / "templates"


@cache
def console_page() -> tuple[str, str]:
    """The HTML, and the policy that lets a browser run what is in it and nothing else."""
    style, script = (
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("console.css", "console.js")
    )
    html = (_FOLDER / "console.html").read_text(encoding="utf-8")
    whole = html.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "style-src-attr 'none'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return whole, policy


def console() -> Response:
    """The page as an answer; it holds no data, so nobody need show a token to get it."""
    html, policy = console_page()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return HTMLResponse(html, headers=headers)
