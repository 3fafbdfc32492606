"""The exception tree. Each leaf knows its HTTP status, its `type` on the wire and the code of its single detail.

ServerError                    500  server_error
├── InvalidRequest             400  invalid_request_error   one detail for every fault found
│   ├── ContextLengthExceeded  400
│   ├── RequestTimeout         408                         the request did not come in whole
│   ├── BodyTooLarge           413
│   ├── UnsupportedMediaType   415
│   └── HeadTooLarge           431
├── NotFound                   404  invalid_request_error
├── MethodNotAllowed           405  invalid_request_error
├── Unauthenticated            401  authentication_error    no key, or none that is known
├── Forbidden                  403  permission_error        a known key that may not do this
├── RateLimited                429  rate_limit_error        the account has used up its plan for the moment
├── EngineFailed               502  upstream_error          the engine died or gave up on this request
├── Unavailable                503  service_unavailable     loading, draining or overloaded: try again later
│   └── Draining               503                         the server went down before the answer was complete
└── DeadlineExceeded           504  timeout_error           the answer took longer than it may
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault of a request.

    code: a Zod issue code (`invalid_type`, `too_big`, `custom`, …) or `context_length_exceeded`.
    path: where in the body; list indices as decimal strings; empty for the body as a whole.
    numbers: further members of the detail, such as token counts.
    """

    code: str
    message: str
    path: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "path": list(self.path), **self.numbers}


class ServerError(Exception):
    """Base of all errors that reach a client."""

    status = 500
    type = "server_error"

    def __init__(self, message: str, details: Sequence[Detail] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.headers = dict(headers or {})

    def envelope(self, request_id: str) -> dict[str, Any]:
        """The body of the answer; `details` only where there are any."""
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.details:
            error["details"] = [detail.as_json() for detail in self.details]
        return {"error": {**error, "request_id": request_id}}


class InvalidRequest(ServerError):
    """The request is at fault; every fault is listed."""

    status = 400
    type = "invalid_request_error"

    @classmethod
    def of(cls, details: Sequence[Detail]) -> "InvalidRequest":
        named = "; ".join(f"{'.'.join(d.path)}: {d.message}" if d.path else d.message for d in details[:8])
        return cls(f"Invalid input data: {named}", details)


class ContextLengthExceeded(InvalidRequest):
    """Prompt and asked output do not fit the window. All figures in tokens."""

    def __init__(self, prompt_tokens: int, max_tokens: int, limit: int, path: tuple[str, ...]) -> None:
        overflow = prompt_tokens + max_tokens - limit
        message = (
            f"The context window is {limit} tokens: the prompt has {prompt_tokens} and {max_tokens} were asked for "
            f"as output, {overflow} too many."
        )
        numbers = {"prompt_tokens": prompt_tokens, "max_tokens": max_tokens, "limit": limit, "overflow": overflow}
        super().__init__(message, [Detail("context_length_exceeded", message, path, numbers)])


class RequestTimeout(InvalidRequest):
    status = 408


class BodyTooLarge(InvalidRequest):
    status = 413


class UnsupportedMediaType(InvalidRequest):
    status = 415


class HeadTooLarge(InvalidRequest):
    status = 431


class NotFound(InvalidRequest):
    status = 404


class MethodNotAllowed(InvalidRequest):
    status = 405


class Unauthenticated(ServerError):
    status = 401
    type = "authentication_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(ServerError):
    status = 403
    type = "permission_error"


class RateLimited(ServerError):
    """The account's own limit. `retry_after` in whole seconds."""

    status = 429
    type = "rate_limit_error"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})


class EngineFailed(ServerError):
    status = 502
    type = "upstream_error"


class Unavailable(ServerError):
    """Not now. `retry_after` in whole seconds."""

    status = 503
    type = "service_unavailable"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})


class Draining(Unavailable):
    """The server is going down."""


class DeadlineExceeded(ServerError):
    status = 504
    type = "timeout_error"
