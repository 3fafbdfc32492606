"""Every row of the tables of fields, against a live server: accepted, ignored, refused, each at its bounds."""

from collections.abc import Iterator, Sequence

import httpx
import pytest

from server.protocol import CHAT_FIELDS, COMPLETION_FIELDS, Field

BASES = {
    "/v1/chat/completions": {
        "model": "electron",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
    },
    "/v1/completions": {"model": "electron", "prompt": "Hello", "max_tokens": 1},
}
ROWS = {"/v1/chat/completions": CHAT_FIELDS, "/v1/completions": COMPLETION_FIELDS}


def cases(kind: str) -> Iterator[pytest.ParameterSet]:
    for path, rows in ROWS.items():
        for row in rows:
            for index, value in enumerate(_values(row, kind)):
                yield pytest.param(path, row, value, id=f"{path.split('/')[-2]}-{row.name}-{index}")


def _values(row: Field, kind: str) -> Sequence[object]:
    return row.good if kind == "good" else row.bad


@pytest.mark.parametrize(("path", "row", "value"), [*cases("good")])
def test_accepted(http: httpx.Client, path: str, row: Field, value: object) -> None:
    response = http.post(path, json={**BASES[path], **row.needs, row.name: value})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("path", "row", "value"), [*cases("bad")])
def test_refused(http: httpx.Client, path: str, row: Field, value: object) -> None:
    response = http.post(path, json={**BASES[path], **row.needs, row.name: value})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert row.name in {detail["path"][0] for detail in error["details"]}
    assert row.name in error["message"]


@pytest.mark.parametrize("path", BASES)
def test_null_stands_for_the_default(http: httpx.Client, path: str) -> None:
    body = {row.name: None for row in ROWS[path] if not row.required} | BASES[path]
    assert http.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", BASES)
def test_every_fault_is_listed_in_one_answer(http: httpx.Client, path: str) -> None:
    bad = {row.name: row.bad[0] for row in ROWS[path] if row.bad and not row.needs}
    response = http.post(path, json=BASES[path] | bad)
    assert response.status_code == 400
    assert bad.keys() <= {detail["path"][0] for detail in response.json()["error"]["details"]}
