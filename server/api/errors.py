"""Errors to responses, the framework's own included."""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.errors import Detail, InvalidRequest, MethodNotAllowed, NotFound, ServerError

Observe = Callable[[ServerError], None]


def error_response(error: ServerError, request_id: str) -> Response:
    """The envelope with the error's own status and headers."""
    body = orjson.dumps(error.envelope(request_id))
    return Response(body, error.status, error.headers, media_type="application/json")


def install_error_handlers(app: FastAPI, observe: Observe) -> None:
    """`observe` is told every error that is answered."""

    def answer(request: Request, error: ServerError) -> Response:
        observe(error)
        return error_response(error, request.state.request_id)

    def server_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServerError)
        return answer(request, error)

    def http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request, _translated(request, error))

    app.add_exception_handler(ServerError, server_error)
    app.add_exception_handler(HTTPException, http_exception)


def _translated(request: Request, error: HTTPException) -> ServerError:
    """Starlette's exceptions in our tree, with the headers that they carry (`Allow`)."""
    if error.status_code == 404:
        return NotFound(f"There is nothing at {request.url.path}.")
    if error.status_code == 405:
        return MethodNotAllowed(f"{request.url.path} does not take {request.method}.", headers=error.headers)
    translated = InvalidRequest(str(error.detail), [Detail("custom", str(error.detail))], error.headers)
    translated.status = HTTPStatus(error.status_code)
    return translated
