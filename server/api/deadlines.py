"""How long a caller is willing to wait, by its headers."""

import math
from collections.abc import Mapping

from server.engine.deadline import Patience
from server.errors import Detail, InvalidRequest
from server.settings import HttpSettings

FIRST_TOKEN = "X-First-Token-Timeout"
TOTAL = "X-Request-Timeout"


def patience_of(headers: Mapping[str, str], http: HttpSettings) -> Patience:
    """Seconds that the headers ask for, but none beyond what is configured. `headers`: whatever their case.

    Raises:
        InvalidRequest: a header holds no positive number.
    """
    first_token, total = _seconds(headers.get(FIRST_TOKEN)), _seconds(headers.get(TOTAL))
    wrong = [name for name, value in ((FIRST_TOKEN, first_token), (TOTAL, total)) if not value > 0]
    if wrong:
        raise InvalidRequest.of([Detail("custom", "expected seconds, a number above 0", (name,)) for name in wrong])
    return Patience(min(first_token, http.first_token_timeout), min(total, http.request_timeout))


def _seconds(text: str | None) -> float:
    """Infinity where nothing is said, not a number where it is none."""
    if text is None:
        return math.inf
    try:
        return float(text)
    except ValueError:
        return math.nan
