"""What is wrong, as an answer: one line and a status that says whose turn it is."""

from __future__ import annotations

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from policy.errors import ConfigError, OptimizerError


def refuse_in_words(app: FastAPI) -> None:
    """Answer every refusal as `{"error": "one line"}`."""

    @app.exception_handler(OptimizerError)
    def refused(_: Request, refusal: OptimizerError) -> JSONResponse:
        ours = not isinstance(refusal, ConfigError)
        code = status.HTTP_503_SERVICE_UNAVAILABLE if ours else status.HTTP_409_CONFLICT
        return _answer(str(refusal), code=code)

    @app.exception_handler(HTTPException)
    def http(_: Request, refusal: HTTPException) -> JSONResponse:
        answer = _answer(str(refusal.detail), code=refusal.status_code)
        answer.headers.update(refusal.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, refusal: RequestValidationError) -> JSONResponse:
        lines = [
            f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}"
            for each in refusal.errors()
        ]
        return _answer("; ".join(lines), code=status.HTTP_422_UNPROCESSABLE_CONTENT)


def _answer(line: str, *, code: int) -> JSONResponse:
    return JSONResponse({"error": line}, status_code=code)
