"""Where the server listens, and how long it waits for whom."""

from pydantic import Field

from server.settings.base import Section


class HttpSettings(Section):
    """The listener. Times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    processes: int = Field(
        1, ge=1, le=64, description="That speak HTTP, over one engine, where one cannot keep up with it."
    )
    keep_alive: int = Field(
        180, ge=1, description="How long an idle connection stays open: longer than any client holds it."
    )
    ping_interval: float = Field(
        3.0, gt=0, description="Silence after which a stream gets its status line and a comment. Clients give up at 5."
    )
    coalesce: float = Field(
        0.01,
        ge=0,
        le=0.1,
        description="Under load, how long tokens may wait to be sent with later ones; the first of an answer, the last "
        "and words before a call never do.",
    )
    max_body: int = Field(8 * 2**20, ge=1024)
    max_bodies: int = Field(
        128 * 2**20, ge=1024, description="Held at once, of all bodies beyond 64 KiB; what exceeds it is answered 503."
    )
    max_head: int = Field(32 * 2**10, ge=1024, description="Of request line and headers together.")
    read_timeout: float = Field(20.0, gt=0, description="Until a head, and then a body, must have come in whole.")
    write_timeout: float = Field(
        20.0, gt=0, description="How long a client may leave a full send buffer unread before it is cut off."
    )
    first_token_timeout: float = Field(
        120.0, gt=0, description="Until the first token; X-First-Token-Timeout may ask for less."
    )
    request_timeout: float = Field(
        1800.0, gt=0, description="Until the end of an answer; X-Request-Timeout may ask for less."
    )
