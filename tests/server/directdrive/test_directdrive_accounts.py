"""Who may do what: tokens, nobody, and other people's ids."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from tests.support.directdrive_client import DirectDrive, frames_of
from tests.support.server import ServerProcess

REGISTER = "/api/v1/auth/register"
TOKEN = "/api/v1/auth/token"


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def test_a_user_registers_logs_in_and_is_who_the_token_says(nobody: DirectDrive) -> None:
    who = {"email": "Eva@example.org", "password": "pässword"}
    made = await nobody.http.post(REGISTER, json=who)
    again = await nobody.http.post(REGISTER, json=who)
    login = await nobody.http.post(TOKEN, data={"username": "Eva@example.org", "password": who["password"]})
    token = login.json()["access_token"]
    me = await nobody.http.get("/api/v1/auth/users/me", headers={"Authorization": f"Bearer {token}"})
    assert (made.status_code, made.json()["hashed_password"]) == (200, None)
    assert (again.status_code, again.json()) == (400, {"detail": "Email already registered"})
    assert login.json() == {"access_token": token, "token_type": "bearer"}
    assert (me.json()["_id"], me.json()["email"]) == (made.json()["_id"], "Eva@example.org")
    assert claims(token)["sub"] == "Eva@example.org"
    assert claims(token)["exp"] - time.time() == pytest.approx(86_400, abs=120)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "detail"),
    [
        ("POST", TOKEN, {"data": {"username": "x@y.z", "password": "no"}}, 401, "Incorrect username or password"),
        ("GET", "/api/v1/auth/users/me", {}, 401, "Not authenticated"),
        ("GET", "/api/v1/files/me/history", {}, 401, "Not authenticated"),
        ("GET", "/api/v1/nothing", {}, 404, "Not Found"),
        ("GET", "/api/v1/upload/initiate", {}, 405, "Method Not Allowed"),
        ("GET", "/api/v1/upload/cancel/x", {}, 405, "Method Not Allowed"),
    ],
)  # fmt: skip
async def test_a_refusal_has_the_words_of_the_original(
    nobody: DirectDrive, method: str, path: str, options: dict[str, Any], status: int, detail: str
) -> None:
    answer = await nobody.http.request(method, path, **options)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


async def test_a_form_without_its_fields_is_422_and_no_answer_repeats_a_password(nobody: DirectDrive) -> None:
    form = await nobody.http.post(TOKEN, data={"username": "x@y.z"})
    short = await nobody.http.post(REGISTER, json={"password": "sesame-open"})
    odd = await nobody.http.post(REGISTER, json={"email": "a@b.cz", "password": {"sesame-open": 1}})
    assert form.json()["detail"] == [
        {"type": "missing", "loc": ["body", "password"], "msg": "Field required"}
    ]
    assert [short.status_code, odd.status_code] == [422, 422]
    assert "sesame-open" not in short.text + odd.text


async def test_a_token_that_is_not_valid_is_refused_and_not_taken_for_nobody(server: ServerProcess) -> None:
    async with DirectDrive(server, "ey.not.valid") as client:
        body = {"filename": "a.txt", "size": 1, "content_type": ""}
        answer = await client.http.post("/api/v1/upload/initiate", json=body)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Could not validate credentials"})


async def test_the_token_of_the_server_itself_is_good_too(server: ServerProcess) -> None:
    async with DirectDrive(server, server.token) as client:
        file = await client.initiate("mine.txt", 1)
        assert (await client.file(file))["owner_id"] == "local"


ROUTES = [
    ("GET", "/api/v1/files/{file}", "File not found"),
    ("GET", "/api/v1/files/{file}/meta", "File not found"),
    ("POST", "/api/v1/upload/cancel/{file}", "File not found"),
    ("GET", "/api/v1/download/stream/{file}", "File not found"),
    ("GET", "/api/v1/batch/{batch}", "Batch not found"),
    ("POST", "/api/v1/batch/cancel/{batch}", "Batch not found"),
    ("GET", "/api/v1/batch/download-zip/{batch}", "Batch not found"),
]


@pytest.mark.parametrize(("method", "path", "detail"), ROUTES)
async def test_what_another_user_has_is_not_there(
    anna: DirectDrive, ben: DirectDrive, nobody: DirectDrive, method: str, path: str, detail: str
) -> None:
    batch = await anna.initiate_batch(("a.txt", 3))
    address = path.format(file=batch["files"][0]["file_id"], batch=batch["batch_id"])
    unknown = path.format(file="nope", batch="nope")
    answers = [
        await ben.http.request(method, address),
        await nobody.http.request(method, address),
        await anna.http.request(method, unknown),
    ]
    assert [(one.status_code, one.json()) for one in answers] == [(404, {"detail": detail})] * 3
    assert [one["status"] for one in await anna.files_of(batch)] == ["pending"]


async def test_another_users_socket_brings_nothing(anna: DirectDrive, ben: DirectDrive) -> None:
    file = await anna.initiate("a.txt", 3)
    foreign = file | {"gdrive_upload_url": (await ben.initiate("b.txt", 3))["gdrive_upload_url"]}
    async with ben.connect(foreign) as socket:
        assert await frames_of(socket) == []
        assert (socket.close_code, socket.close_reason) == (1008, "File ID not found")
    assert (await anna.file(file))["status"] == "pending"


async def test_an_address_with_a_wrong_key_opens_nothing(anna: DirectDrive, nobody: DirectDrive) -> None:
    file = await anna.initiate("a.txt", 3)
    address, _, key = file["gdrive_upload_url"].rpartition(".")
    closes = []
    for wrong in (key[::-1], "", key + "x"):
        async with nobody.connect(file | {"gdrive_upload_url": f"{address}.{wrong}"}) as socket:
            await frames_of(socket)
            closes.append((socket.close_code, socket.close_reason))
    assert closes == [(1008, "File ID not found")] * 3
    assert (await anna.file(file))["status"] == "pending"


async def test_a_browser_cannot_send_headers_and_uploads_with_the_address_it_was_given(
    anna: DirectDrive,
) -> None:
    file = await anna.initiate("a.txt", 3)
    async with anna.connect(file, with_token=False) as socket:
        await socket.send(b"abc")
        frames = await frames_of(socket)
    assert frames[-1]["type"] == "success"
    assert (await anna.file(file))["status"] == "completed"


async def test_the_history_is_ones_own_the_newest_first(anna: DirectDrive, ben: DirectDrive) -> None:
    mine = [await anna.initiate(name, 1) for name in ("one.txt", "two.txt")]
    await ben.initiate("other.txt", 1)
    answer = await anna.http.get("/api/v1/files/me/history")
    assert [one["_id"] for one in answer.json()] == [one["file_id"] for one in reversed(mine)]
