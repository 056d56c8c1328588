"""The HTTP endpoint: metrics and health, from the memory of the resident process.

Nothing here asks Mimir or Prefect anything, but for the API, and the history only whether it is
open: a probe is answered even when all of them hang.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Thread
from typing import Final

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import Route

from deployments.api.refusals import refuse_in_words
from deployments.console_page import console
from deployments.document import DOCUMENT_PATH, ServedDocument
from flows.vitals import Vitals
from tasks.telemetry import Telemetry

INTERVALS_UNTIL_STALE: Final = 3
START_GRACE: Final = timedelta(seconds=60)


def application(
    *,
    vitals: Vitals,
    telemetry: Telemetry,
    protect_interval: Callable[[], timedelta],
    clock: Callable[[], datetime],
    document: ServedDocument | None = None,
    api: APIRouter | None = None,
    others: Sequence[APIRouter] = (),
) -> FastAPI:
    """The routes /, /metrics, /health, /healthz, /ready and /readyz, the document's and the API's.

    Args:
        vitals: what the flows last did.
        telemetry: the metrics to serve.
        protect_interval: how often `protect` is to run, asked at each request.
        clock: aware UTC time.
        document: the runtime file, where Mimir reads it from here.
        api: what is served below /api/v1.
        others: what is served besides, by its own paths.
    """
    app = FastAPI(title="Mimir Limit Optimizer", docs_url=None, redoc_url=None, openapi_url=None)

    def problems() -> list[str]:
        return vitals.problems(
            now=clock(), stale_after=max(START_GRACE, INTERVALS_UNTIL_STALE * protect_interval())
        )

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(telemetry.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health")
    @app.get("/healthz")
    def health() -> JSONResponse:
        """Alive: the loop turns. A restart would not mend what `/ready` complains of."""
        stalled = vitals.stalled(now=clock(), interval=protect_interval())
        return JSONResponse(
            {"status": "stalled" if stalled else "ok", "flows": vitals.as_json()},
            status_code=503 if stalled else 200,
        )

    @app.get("/ready")
    @app.get("/readyz")
    def ready() -> JSONResponse:
        """Ready: Mimir answers, the history is open, `protect` succeeded within three intervals."""
        found = problems()
        return JSONResponse(
            {"status": "not ready" if found else "ready", "problems": found},
            status_code=503 if found else 200,
        )

    refuse_in_words(app)
    if api is not None:
        app.include_router(api, prefix="/api/v1")
        app.get("/")(console)
    for routes in others:
        app.include_router(routes)
    if document is not None:
        app.router.routes.append(Route(DOCUMENT_PATH, endpoint=document))
    return app


class Endpoint:
    """The application served from a thread of its own, so a busy flow never delays a probe."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, name="http endpoint", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; open requests get a second to end."""
        self._server.should_exit = True
        self._thread.join(timeout=1)
