"""Request bodies, read with a bound."""

from starlette.requests import ClientDisconnect, Request

from server.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

JSON = "application/json"


async def read_json(request: Request, max_bytes: int) -> bytes:
    """The body of a request that says it is JSON, or says nothing.

    Raises:
        UnsupportedMediaType, BodyTooLarge: without reading further.
        InvalidRequest: the client went away in the middle of its body.
    """
    media_type = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}, got {media_type[:80]}.")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
    except ClientDisconnect:
        raise InvalidRequest("The request ended before its body did.") from None
    return bytes(body)


def _too_large(max_bytes: int) -> BodyTooLarge:
    # What is left of the body would be taken for the next request on this connection.
    return BodyTooLarge(f"The body may have at most {max_bytes} bytes.", headers={"Connection": "close"})
