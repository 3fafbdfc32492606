"""Errors to responses, the framework's own included."""

from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.errors import Detail, InvalidRequest, MethodNotAllowed, NotFound, ServerError


def error_response(error: ServerError, request_id: str) -> Response:
    """The envelope with the error's own status and headers."""
    body = orjson.dumps(error.envelope(request_id))
    return Response(body, error.status, error.headers, media_type="application/json")


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ServerError, _server_error)
    app.add_exception_handler(HTTPException, _http_exception)


def _server_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServerError)
    return error_response(error, request.state.request_id)


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(_translated(request, error), request.state.request_id)


def _translated(request: Request, error: HTTPException) -> ServerError:
    """Starlette's exceptions in our tree, with the headers that they carry (`Allow`)."""
    if error.status_code == 404:
        return NotFound(f"There is nothing at {request.url.path}.")
    if error.status_code == 405:
        return MethodNotAllowed(f"{request.url.path} does not take {request.method}.", headers=error.headers)
    translated = InvalidRequest(str(error.detail), [Detail("custom", str(error.detail))], error.headers)
    translated.status = HTTPStatus(error.status_code)
    return translated
