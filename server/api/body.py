"""Request bodies, read with a bound."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from server.errors import BodyTooLarge, InvalidRequest, RequestTimeout, UnsupportedMediaType

JSON = "application/json"
CLOSE = {"Connection": "close"}  # what is left of a body would be taken for the next request on its connection


async def read_json(request: Request, max_bytes: int, patience: float) -> bytes:
    """The body of a request that says it is JSON, or says nothing. `patience` in seconds.

    Raises:
        UnsupportedMediaType, BodyTooLarge: without reading further.
        RequestTimeout: the body did not come in time.
        InvalidRequest: the client went away in the middle of its body.
    """
    media_type = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}, got {media_type[:80]}.")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {patience:g} s.", headers=CLOSE) from None
    except ClientDisconnect:
        raise InvalidRequest("The request ended before its body did.") from None
    return bytes(body)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {max_bytes} bytes.", headers=CLOSE)
