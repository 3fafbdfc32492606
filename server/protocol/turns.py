"""Which tool result answers which call."""

from collections.abc import Iterator, Sequence

from server.errors import Detail
from server.protocol.faults import word
from server.protocol.raw import dig, items


def tool_turns(messages: Sequence[object]) -> Iterator[Detail]:
    """Faults of results that answer no call before them, or one that has its answer, and of calls with one id.

    The same id may be used again in a later turn, as some models count their calls anew in each.
    """
    waiting: set[str] = set()
    answered: set[str] = set()
    for i, message in enumerate(messages):
        role = dig(message, "role")
        if role == "assistant":
            ids = _call_ids(message)
            if None in ids:
                return  # of a malformed call nobody knows what answers it
            yield from _twice(ids, i)
            waiting.update(filter(None, ids))
        elif role == "tool":
            yield from _result(message, i, waiting, answered)


def _call_ids(message: object) -> list[str | None]:
    calls = dig(message, "tool_calls")
    if calls is not None and not isinstance(calls, list):
        return [None]
    ids = [dig(call, "id") for call in items(calls)]
    return [value if isinstance(value, str) and value else None for value in ids]


def _twice(ids: Sequence[str | None], i: int) -> Iterator[Detail]:
    seen: set[str | None] = set()
    for j, call_id in enumerate(ids):
        if call_id in seen:
            path = ("messages", str(i), "tool_calls", str(j), "id")
            yield Detail("custom", f"More than one tool call has the id {word(call_id)}", path)
        seen.add(call_id)


def _result(message: object, i: int, waiting: set[str], answered: set[str]) -> Iterator[Detail]:
    call_id = dig(message, "tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        return
    if call_id in waiting:
        waiting.remove(call_id)
        answered.add(call_id)
        return
    fault = "has a result already" if call_id in answered else "is in no message before this one"
    path = ("messages", str(i), "tool_call_id")
    yield Detail("custom", f"The tool call {word(call_id)} {fault}", path)
