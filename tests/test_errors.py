from server.errors import BodyTooLarge, ContextLengthExceeded, Detail, InvalidRequest, ServerError, Unavailable


def test_the_envelope_lists_every_fault_and_names_them_in_the_message() -> None:
    error = InvalidRequest.of(
        [Detail("custom", "n > 1 is not supported", ("n",)), Detail("too_big", "at most 4", ("stop",))]
    )
    assert error.envelope("id") == {
        "error": {
            "message": "Invalid input data: n: n > 1 is not supported; stop: at most 4",
            "type": "invalid_request_error",
            "details": [
                {"code": "custom", "message": "n > 1 is not supported", "path": ["n"]},
                {"code": "too_big", "message": "at most 4", "path": ["stop"]},
            ],
            "request_id": "id",
        }
    }


def test_no_details_no_member() -> None:
    assert ServerError("oops").envelope("id") == {
        "error": {"message": "oops", "type": "server_error", "request_id": "id"}
    }


def test_overflow_says_all_numbers() -> None:
    detail = ContextLengthExceeded(32_000, 1_000, 32_768, ("max_tokens",)).details[0].as_json()
    assert detail["code"] == "context_length_exceeded"
    assert {name: detail[name] for name in ("prompt_tokens", "max_tokens", "limit", "overflow")} == {
        "prompt_tokens": 32_000,
        "max_tokens": 1_000,
        "limit": 32_768,
        "overflow": 232,
    }


def test_status_and_headers() -> None:
    assert (BodyTooLarge("").status, Unavailable("", 7).status) == (413, 503)
    assert Unavailable("", 7).headers == {"Retry-After": "7"}
