import pytest

from server.errors import ContextLengthExceeded
from server.prompt.window import PromptFarTooLong, Window

LIMIT = 32_768
PROMPT, OUTPUT = ("messages",), ("max_tokens",)


def test_without_a_limit_of_its_own_the_output_gets_what_is_left() -> None:
    assert Window(LIMIT).room(1000, None, PROMPT, OUTPUT) == LIMIT - 1000
    assert Window(LIMIT).room(LIMIT - 1, None, PROMPT, OUTPUT) == 1


def test_the_limit_passes_and_one_more_is_refused() -> None:
    assert Window(LIMIT).room(32_000, 768, PROMPT, OUTPUT) == 768
    with pytest.raises(ContextLengthExceeded) as raised:
        Window(LIMIT).room(32_000, 769, PROMPT, OUTPUT)
    (detail,) = raised.value.details
    assert detail.code == "context_length_exceeded"
    assert detail.path == OUTPUT
    assert detail.numbers == {"prompt_tokens": 32_000, "max_tokens": 769, "limit": LIMIT, "overflow": 1}


@pytest.mark.parametrize("overflow", ["refuse", "clamp"])
@pytest.mark.parametrize(("asked", "counted"), [(None, 1), (10, 10)])
def test_a_prompt_that_leaves_no_room_is_refused_as_such(overflow: str, asked: int | None, counted: int) -> None:
    with pytest.raises(ContextLengthExceeded) as raised:
        Window(LIMIT, overflow).room(LIMIT, asked, PROMPT, OUTPUT)  # type: ignore[arg-type]
    (detail,) = raised.value.details
    assert detail.path == PROMPT
    assert detail.numbers == {"prompt_tokens": LIMIT, "max_tokens": counted, "limit": LIMIT, "overflow": counted}


def test_too_much_output_is_clamped_where_that_is_configured() -> None:
    assert Window(LIMIT, "clamp").room(32_000, 769, PROMPT, OUTPUT) == 768
    assert Window(LIMIT, "clamp").room(32_000, 7, PROMPT, OUTPUT) == 7
    assert Window(LIMIT, "clamp").room(LIMIT - 1, 10**6, PROMPT, OUTPUT) == 1


def test_what_is_far_too_long_is_not_read_whole() -> None:
    read: list[str] = []

    def count(text: str) -> int:
        read.append(text)
        return len(text) // 4

    with pytest.raises(PromptFarTooLong, match="more than 400 ") as raised:
        Window(100).screen("word" * 1_000_000, count, 5, PROMPT)
    assert [len(text) for text in read] == [1600]
    (detail,) = raised.value.details
    assert detail.path == PROMPT
    assert detail.numbers == {"prompt_tokens": 400, "max_tokens": 5, "limit": 100, "overflow": 305}
    assert isinstance(raised.value, ContextLengthExceeded)


def test_what_may_fit_is_not_screened_out() -> None:
    Window(100).screen("x" * 1600, lambda text: pytest.fail("short enough to be read whole"), None, PROMPT)
    Window(100).screen(" " * 100_000, lambda text: len(text) // 128, None, PROMPT)
