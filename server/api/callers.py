"""Who sent a request."""

from fastapi import Request

from server.admission.callers import Caller
from server.lifecycle import Lifecycle


def caller_of(request: Request, lifecycle: Lifecycle) -> Caller:
    """Kept in `request.state.caller`: whatever the answer is, its headers say how the account stands.

    Raises:
        Unauthenticated: no key, or none that is valid.
    """
    caller = lifecycle.gate.identify(request.headers.get("authorization"))
    request.state.caller = caller
    return caller
