"""Accounts of vuemantics: register, token, refresh, me, and every way they refuse."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.vuemantics_client import PASSWORD, VuemanticsClient, pictures


def claims(token: str) -> dict[str, object]:
    middle = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def test_who_registers_is_shown_without_tokens_and_in_lower_case(server: ServerProcess) -> None:
    told = {"email": "Ada.Lovelace@Example.org", "password": PASSWORD}
    answer = httpx.post(f"{server.url}/vuemantics/v1/auth/register", json=told)
    body = answer.json()
    assert (answer.status_code, sorted(body), body["email"], body["is_active"]) == (
        201,
        ["created_at", "email", "id", "is_active", "updated_at"],
        "ada.lovelace@example.org",
        True,
    )


def test_an_address_can_be_registered_once(client: VuemanticsClient) -> None:
    answer = client.http.post("/v1/auth/register", json={"email": client.email.upper(), "password": PASSWORD})
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "Email already registered", "type": "ConflictError"},
    )


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"email": "nobody", "password": PASSWORD}, ["body", "email"]),
        ({"email": "a\0@example.org", "password": PASSWORD}, ["body", "email"]),
        ({"email": "a@example.org", "password": "short1A"}, ["body", "password"]),
        ({"email": "a@example.org", "password": "nodigits-A"}, ["body", "password"]),
        ({"email": "a@example.org", "password": PASSWORD + "x" * 72}, ["body", "password"]),
        ({"email": "a@example.org", "password": PASSWORD, "admin": True}, ["body", "admin"]),
        ({"email": "a@example.org"}, ["body", "password"]),
    ],
)
def test_a_registration_that_does_not_fit_is_told_where_and_never_repeated(
    client: VuemanticsClient, told: dict[str, object], place: list[str]
) -> None:
    answer = client.http.post("/v1/auth/register", json=told)
    found = answer.json()["detail"]
    assert (answer.status_code, [one["loc"] for one in found]) == (422, [place])
    assert str(told.get("password", PASSWORD)) not in answer.text


def test_a_login_gives_an_access_token_that_says_when_it_ends(client: VuemanticsClient) -> None:
    told = claims(client.tokens["access_token"])
    assert (sorted(client.tokens), client.tokens["token_type"]) == (
        ["access_token", "refresh_token", "token_type"],
        "bearer",
    )
    assert (told["sub"], told["type"], told["token_version"]) == (client.user["id"], "access", 0)
    assert isinstance(told["exp"], int)
    assert 1700 < told["exp"] - time.time() < 1900


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("register", rb'{"email": "\ud800@example.org", "password": "Secret-123"}'),
        ("register", rb'{"email": "half@example.org", "password": "Secret-123\ud800"}'),
        ("token/refresh", rb'{"refresh_token": "\ud800"}'),
    ],
)
def test_half_a_character_is_refused(client: VuemanticsClient, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.http.post(f"/v1/auth/{path}", content=body, headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("form", "status"),
    [({"username": "x@example.org", "password": "x"}, 401), ({"username": "x@example.org"}, 422), ({}, 422)],
)
def test_a_wrong_login_says_no_more_than_that(
    client: VuemanticsClient, form: dict[str, str], status: int
) -> None:
    assert client.http.post("/v1/auth/token", data=form).status_code == status


def test_a_login_is_a_form_and_not_json(client: VuemanticsClient) -> None:
    answer = client.http.post("/v1/auth/token", json={"username": client.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "username"])


def test_a_wrong_password_is_refused_in_the_words_of_the_contract(client: VuemanticsClient) -> None:
    answer = client.login("Wrong-1234")
    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "Incorrect email or password", "type": "AuthenticationError"},
    )


def test_a_refresh_gives_a_new_access_token_and_the_same_refresh_token(client: VuemanticsClient) -> None:
    answers = [
        client.http.post("/v1/auth/token/refresh", json={"refresh_token": client.tokens["refresh_token"]})
        for _ in range(2)
    ]
    bodies = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {body["refresh_token"] for body in bodies} == {client.tokens["refresh_token"]}
    assert len({client.tokens["access_token"], *(body["access_token"] for body in bodies)}) == 3
    me = client.http.get("/v1/auth/me", headers={"Authorization": f"Bearer {bodies[1]['access_token']}"})
    assert me.json() == client.user


def test_a_token_of_the_wrong_kind_is_told_so(client: VuemanticsClient) -> None:
    access, refresh = client.tokens["access_token"], client.tokens["refresh_token"]
    answers = [
        client.http.post("/v1/auth/token/refresh", json={"refresh_token": access}),
        client.http.post("/v1/auth/token/refresh", json={"refresh_token": "nonsense"}),
        client.http.get("/v1/auth/me", headers={"Authorization": f"Bearer {refresh}"}),
        client.http.get("/v1/auth/me", headers={"Authorization": "Bearer nonsense"}),
    ]
    assert [(one.status_code, one.json()["detail"], one.json()["type"]) for one in answers] == [
        (401, "Invalid token type. Expected refresh", "AuthenticationError"),
        (401, "Could not validate token", "AuthenticationError"),
        (401, "Invalid token type. Expected access", "AuthenticationError"),
        (401, "Could not validate token", "AuthenticationError"),
    ]


def test_without_a_token_there_is_nothing_but_the_open_pages(server: ServerProcess) -> None:
    url = f"{server.url}/vuemantics"
    refused = [
        httpx.get(f"{url}/v1/uploads"),
        httpx.get(f"{url}/api/v1/auth/me"),
        httpx.post(f"{url}/v1/uploads/bulk", content=b"x" * 1_000_000),
    ]
    assert [(one.status_code, one.json()) for one in refused] == [(401, {"detail": "Not authenticated"})] * 3
    pages = [httpx.get(f"{url}/v1/{page}") for page in ("health", "health/detailed", "client-config")]
    assert [one.status_code for one in pages] == [200, 200, 200]
    assert (pages[0].text, pages[2].json()["max_upload_size_mb"]) == ("1", 100)


def test_every_answer_has_the_correlation_id_that_was_sent(client: VuemanticsClient) -> None:
    answers = [client.http.get(path, headers={"X-Correlation-ID": "me-1"}) for path in ("/v1/health", "/no")]
    assert [one.headers["x-correlation-id"] for one in answers] == ["me-1", "me-1"]


def test_what_comes_from_the_framework_has_no_type(client: VuemanticsClient) -> None:
    answers = [client.http.get("/no"), client.http.delete("/v1/uploads/batches")]
    assert [(one.status_code, sorted(one.json())) for one in answers] == [
        (404, ["detail"]),
        (422, ["detail"]),
    ]


def test_the_fifth_bulk_of_an_hour_is_the_last_one(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as running, VuemanticsClient(running) as one:
        answers = [one.bulk(pictures(1)) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [201] * 5 + [429]
        assert answers[5].json() == {"detail": "5 per 1 hour"}
        assert 3500 < int(answers[5].headers["Retry-After"]) <= 3600
