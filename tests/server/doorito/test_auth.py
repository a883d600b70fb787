"""PEP 0010: who may upload."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from tests.support.doorito_client import Doorito, new_token, serve_user
from tests.support.server import ServerProcess

ROUTES = [
    ("POST", "/uploads/sessions"),
    ("PUT", "/uploads/sessions/x/parts/1"),
    ("GET", "/uploads/sessions/x"),
    ("POST", "/uploads/sessions/x/finalize"),
    ("POST", "/uploads/sessions/x/cancel"),
    ("POST", "/batches"),
    ("GET", "/batches/x"),
    ("GET", "/batches/x/files"),
    ("POST", "/batches/x/cancel"),
]


@pytest.mark.parametrize("method,path", ROUTES)
def test_unauthenticated_requests_to_every_endpoint_are_401(
    server: ServerProcess, method: str, path: str
) -> None:
    with Doorito(server, None) as nobody, Doorito(server, "wrong") as stranger:
        answers = [nobody.http.request(method, path), stranger.http.request(method, path)]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(401, "unauthorized")] * 2


def test_a_token_user_can_create_a_session_and_upload_parts_and_uploaded_by_is_populated(
    server: ServerProcess,
) -> None:
    token = new_token(server)
    with Doorito(server, token) as ada:
        batch = ada.batch()
        done = ada.finalize(ada.uploaded(b"0123456789", 4, batch_id=batch)).json()
        listed = ada.http.get(f"/batches/{batch}/files").json()["files"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (done["status"], listed, listed[0]["uploaded_by"]) == ("complete", [done["file"]], claims["sub"])


def test_a_token_is_created_and_revoked_by_the_management_command(server: ServerProcess) -> None:
    token = new_token(server)
    with Doorito(server, token) as ada:
        before = ada.http.post("/batches").status_code
        revoked = serve_user(server, "revoke", stdin=token + "\n").returncode
        after = ada.http.post("/batches").status_code
    again = serve_user(server, "revoke", stdin=token + "\n")
    assert (before, revoked, after, again.returncode) == (201, 0, 401, 1)
    assert token not in server.log + again.stderr


def test_a_token_of_an_unknown_user_is_not_made(server: ServerProcess) -> None:
    made = serve_user(server, "token", "nobody-at-all")
    assert (made.returncode, made.stdout, made.stderr) == (
        1,
        "",
        "uphaul serve user: there is no user called nobody-at-all.\n",
    )


def test_what_is_another_users_is_404_and_stays_as_it_is(server: ServerProcess, client: Doorito) -> None:
    batch = client.batch()
    session = client.session(4, batch_id=batch)
    with Doorito(server, new_token(server)) as other:
        seen: list[httpx.Response] = [
            other.put(session, 1, b"1234"),
            other.http.get(f"/uploads/sessions/{session}"),
            other.finalize(session),
            other.cancel(session),
            other.create(4, batch_id=batch),
            *[other.http.get(f"/batches/{batch}{tail}") for tail in ("", "/files")],
            other.http.post(f"/batches/{batch}/cancel"),
        ]
    assert [one.status_code for one in seen] == [404] * 8
    assert (client.status(session)["status"], client.counts(batch)) == ("init", (1, 0, 0, 0))
