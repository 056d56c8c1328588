"""The report at `/report`: the file that was made last, as it is."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse

from deployments.api.access import Access
from deployments.api.desk import Desk
from tasks.report import report_file

NONE_YET: Final = (
    "No report has been made yet: `mlo report` makes one, and the flow report does once a day.\n"
)
HEADERS: Final = {
    # What runs in it is told by the page itself, which may be of an older release than we are.
    "Content-Security-Policy": "frame-ancestors 'none'; sandbox allow-scripts",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def report_routes(desk: Desk, *, access: Access) -> APIRouter:
    """The route; who may read the API may read the report.

    Args:
        desk: for where the history is.
        access: who may.
    """
    routes = APIRouter(dependencies=[Depends(access.look)])

    @routes.get("/report")
    def report() -> Response:
        """The report that was made last."""
        try:
            html = report_file(desk.settings().storage.url).read_bytes()
        except FileNotFoundError:
            return PlainTextResponse(NONE_YET, status_code=status.HTTP_404_NOT_FOUND)
        return HTMLResponse(html, headers=HEADERS)

    return routes
