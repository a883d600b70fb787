"""Whatever text comes to a register, login or refresh, of whatever API: it is refused with 4xx, and never the server's mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import httpx
import pytest

from tests.support.server import ServerProcess

PASSWORD = "Secret-123-of-a-test"
JSON_ROUTES = (
    "/vuemantics/v1/auth/register",
    "/vuemantics/v1/auth/token/refresh",
    "/directdrive/api/v1/auth/register",
    "/cell-segmentation-hub/api/auth/register",
    "/cell-segmentation-hub/api/auth/login",
)
FORM_ROUTES = ("/vuemantics/v1/auth/token", "/directdrive/api/v1/auth/token")


def told(email: object, password: object) -> bytes:
    """The fields of every route at once, as JSON that Python writes: a lone surrogate is `\\ud800`."""
    return json.dumps({"email": email, "password": password, "refresh_token": password}).encode()


BODIES = {
    "lone surrogate in the password": told("a@example.org", "Secret-123-\ud800"),
    "lone surrogate in the name": told("\udfffa@example.org", PASSWORD),
    "lone surrogates everywhere": told("\ud800@\ud800.org", "\ud800" * 20),
    "surrogates the wrong way round": told("a@example.org", "Secret-123-\ude00\ud83d"),
    "lone surrogate as a key": b'{"\\ud800": 1}',
    "a zero byte in the name": told("a\0b@example.org", PASSWORD),
    "no text": told(["a@example.org"], {"a": 1}),
    "numbers": told(1e308, -0),
    "nothing": told(None, None),
    "a number that is none": b'{"email": NaN, "password": Infinity, "refresh_token": NaN}',
    "a name without end": told("a" * 1_000_000 + "@example.org", PASSWORD * 10_000),
    "an array": b"[]",
    "a word": b'"word"',
    "null": b"null",
    "empty": b"",
    "half": b'{"email": "a@exa',
    "no UTF-8": b'{"email": "\xff\xfe@example.org", "password": "\xed\xa0\x80 Secret-123"}',
    "UTF-16": '{"email": "a@example.org"}'.encode("utf-16"),
    "deep": b"[" * 200_000,
    "deep object": b'{"email":' * 100_000,
}
FORMS = {
    "lone surrogate": quote_from_bytes("\ud800".encode("utf-8", "surrogatepass")),
    "no UTF-8": "%FF%FE%80",
    "half an escape": "%E2%82%&%",
    "a zero byte": "%00",
    "long": "a" * 60_000,
    "too long": "a" * 100_000,
    "raw bytes": "\ud800\udfff",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that may be asked as often as one likes. It must not have complained at the end."""
    with ServerProcess(tmp_path_factory.mktemp("malformed"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert "Traceback" not in running.log


@pytest.fixture
def token(server: ServerProcess) -> str:
    """The one token of the server."""
    return server.token


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """Somebody who has none."""
    with httpx.Client(base_url=server.url, timeout=20) as made:
        yield made


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_malformed_json_is_4xx(client: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    seen = {path: client.post(path, content=body, headers=headers) for path in JSON_ROUTES}
    assert {path: one.text for path, one in seen.items() if not 400 <= one.status_code < 500} == {}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_malformed_form_is_4xx(client: httpx.Client, text: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = f"username={text}&password={text}".encode("utf-8", "surrogatepass")
    seen = {path: client.post(path, content=form, headers=headers) for path in FORM_ROUTES}
    assert {path: one.text for path, one in seen.items() if not 400 <= one.status_code < 500} == {}


STORED = {
    "/api/v1/batches": {"name": "\ud800", "idempotency_key": "\ud800"},
    "/doorito/uploads/sessions": {"original_filename": "\ud800.txt", "total_size_bytes": 1},
    "/doorito/batches": {"name": "\ud800"},
    "/directdrive/api/v1/upload/initiate": {"filename": "\ud800.txt", "size": 1, "content_type": "\ud800"},
    "/cell-segmentation-hub/api/projects": {"title": "\ud800"},
}
"""What is kept in the database or on the disk: it is refused, or kept as something that can be written."""


@pytest.mark.parametrize("path", STORED)
def test_half_a_character_in_what_is_kept_is_no_mistake_of_the_server(
    client: httpx.Client, token: str, path: str
) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    cookies = {"Cookie": f"access_token={token}"}
    answer = client.post(path, content=json.dumps(STORED[path]).encode(), headers=headers | cookies)
    assert (answer.status_code in {200, 400, 422}, answer.text.isprintable()) == (True, True)
