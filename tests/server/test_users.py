"""Users, their tokens, how often they may ask, and that nobody sees what is somebody else's."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import ROOT, ServerProcess
from tests.support.tus import TusClient

PROBE = "tests.support.probe_server"
PASSWORD = "correct horse battery"  # the word of a test


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose room has logins; rates are 100 times what they say."""
    with ServerProcess(
        tmp_path_factory.mktemp("users"), "--rate-limits", "100", "--log-level", "debug", module=PROBE
    ) as running:
        yield running


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    """A client that is nobody yet."""
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def user(http: httpx.Client, name: str) -> dict[str, str]:
    assert http.post("/probe/register", json={"name": name, "password": PASSWORD}).status_code == 201
    return login(http, name)


def login(http: httpx.Client, name: str, **more: str) -> dict[str, str]:
    answer = http.post("/probe/token", json={"name": name, "password": PASSWORD, **more})
    assert answer.status_code == 200
    tokens: dict[str, str] = answer.json()
    return tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def me(http: httpx.Client, token: str) -> int:
    return http.get("/probe/me", headers=bearer(token)).status_code


def test_a_login_gives_a_token_whose_expiry_a_client_can_read(http: httpx.Client) -> None:
    access = user(http, "ada@example.org")["access"]
    body = access.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    told = http.get("/probe/me", headers=bearer(access)).json()
    assert (claims["exp"] - claims["iat"], claims["sub"], claims["app"], told["name"]) == (
        60,
        told["id"],
        "probe",
        "ada@example.org",
    )


def test_a_name_is_unique_in_any_letter_case(http: httpx.Client) -> None:
    user(http, "Bob")
    again = http.post("/probe/register", json={"name": "bOB", "password": PASSWORD})
    reserved = http.post("/probe/register", json={"name": "LOCAL", "password": PASSWORD})
    assert (again.status_code, again.json()["code"], reserved.status_code) == (409, "name_taken", 409)


def test_a_wrong_password_an_unknown_name_and_a_forged_token_are_refused(http: httpx.Client) -> None:
    access = user(http, "carol")["access"]
    wrong = http.post("/probe/token", json={"name": "carol", "password": "wrong"}).status_code
    unknown = http.post("/probe/token", json={"name": "nobody", "password": PASSWORD}).status_code
    head, body, _ = access.split(".")
    assert (wrong, unknown, me(http, f"{head}.{body}.AAAA"), me(http, "x"), me(http, access)) == (
        401,
        401,
        401,
        401,
        200,
    )


def test_an_access_token_ends(http: httpx.Client) -> None:
    user(http, "dora")
    assert me(http, login(http, "dora", access_seconds="0")["access"]) == 401


def test_a_refresh_token_is_used_once_and_its_second_use_ends_the_whole_login(http: httpx.Client) -> None:
    first = user(http, "eve")
    other_login = login(http, "eve")
    second = http.post("/probe/refresh", json={"refresh": first["refresh"]}).json()
    fresh_works = me(http, second["access"])
    stolen = http.post("/probe/refresh", json={"refresh": first["refresh"]})
    after = [me(http, token) for token in (first["access"], second["access"], other_login["access"])]
    last = http.post("/probe/refresh", json={"refresh": second["refresh"]}).status_code
    assert (fresh_works, stolen.status_code, stolen.json()["code"], after, last) == (
        200,
        401,
        "token_invalid",
        [401, 401, 200],
        401,
    )


def test_a_refresh_token_of_an_api_that_keeps_it_works_again(http: httpx.Client) -> None:
    first = user(http, "fred")
    body = {"refresh": first["refresh"], "rotate": "no"}
    answers = [http.post("/probe/refresh", json=body).json() for _ in range(2)]
    assert [one["refresh"] for one in answers] == [first["refresh"]] * 2
    assert [me(http, one["access"]) for one in answers] == [200, 200]


def test_logging_out_ends_a_login(http: httpx.Client) -> None:
    tokens = user(http, "gina")
    left = http.post("/probe/logout", headers=bearer(tokens["access"])).status_code
    refused = http.post("/probe/refresh", json={"refresh": tokens["refresh"]}).status_code
    assert (left, me(http, tokens["access"]), refused) == (204, 401, 401)


def test_the_token_of_the_server_is_the_local_user_and_its_password(
    http: httpx.Client, server: ServerProcess
) -> None:
    answer = http.post("/probe/token", json={"name": "local", "password": server.token})
    told = [
        http.get("/probe/me", headers=bearer(token)).json()["id"]
        for token in (server.token, answer.json()["access"])
    ]
    assert told == ["local", "local"]


def test_what_is_another_users_is_404_everywhere(http: httpx.Client, server: ServerProcess) -> None:
    stranger = bearer(user(http, "mallory")["access"])
    with TusClient(server) as tus:
        batch = tus.batch("Private")
        stored = tus.created(3, b"abc", filename="a.txt", batch_id=batch).removeprefix("/files/")
        waiting = tus.created(5, filename="b.txt", batch_id=batch).removeprefix("/files/")
    job = http.post("/probe/jobs", json={"kind": "crash", "name": "x"}, headers=server.headers).json()["id"]
    routes: list[tuple[str, str]] = [
        ("GET", f"/api/v1/batches/{batch}"),
        ("GET", f"/api/v1/batches/{batch}/files"),
        ("POST", f"/api/v1/batch/cancel/{batch}"),
        ("GET", f"/api/v1/files/{stored}"),
        ("DELETE", f"/api/v1/files/{stored}"),
        ("POST", f"/api/v1/upload/cancel/{waiting}"),
        ("HEAD", f"/files/{stored}"),
        ("PATCH", f"/files/{waiting}"),
        ("DELETE", f"/files/{waiting}"),
        ("GET", f"/probe/jobs/{job}"),
        ("DELETE", f"/probe/jobs/{job}"),
        ("GET", f"/probe/files/{stored}/events"),
    ]
    headers = stranger | {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    seen = [
        (method, path, http.request(method, path, headers=headers).status_code) for method, path in routes
    ]
    listed = http.get("/api/v1/batches", headers=stranger).json()["total"]
    assert (seen, listed) == ([(method, path, 404) for method, path in routes], 0)


def test_nothing_secret_is_in_the_database_or_the_log(http: httpx.Client, server: ServerProcess) -> None:
    tokens = user(http, "secretive")
    me(http, tokens["access"])
    me(http, "wrong-" + tokens["access"])
    database = sqlite3.connect(server.database_path, timeout=10)
    text = "\n".join(database.iterdump()) + server.log
    database.close()
    found = [word for word in (PASSWORD, tokens["access"], tokens["refresh"], server.token) if word in text]
    assert (found, "$argon2id$" in text, "path='/probe/me' status=401" in text) == ([], True, True)


def run_user(data: Path, *words: str, password: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "app.server", "--data", str(data), "user", *words],
        cwd=ROOT,
        input=password,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_users_are_added_listed_and_removed_on_the_command_line_while_the_server_runs(
    http: httpx.Client, server: ServerProcess
) -> None:
    added = run_user(server.data_dir, "add", "Hugo", "--password-stdin", password=PASSWORD + "\n")
    twice = run_user(server.data_dir, "add", "hugo", "--password-stdin", password=PASSWORD + "\n")
    short = run_user(server.data_dir, "add", "ivy", "--password-stdin", password="short\n")
    token = login(http, "hugo")["access"]
    listed = run_user(server.data_dir, "list")[1]
    before = me(http, token)
    removed = run_user(server.data_dir, "remove", "HUGO")
    again = run_user(server.data_dir, "remove", "hugo")
    assert (added[0], twice[0], short[0], removed[0], again[0]) == (0, 1, 1, 0, 1)
    assert ("There is a user of this name already." in twice[2], "8 characters" in short[2]) == (True, True)
    assert ("Hugo\t" in listed, before, me(http, token)) == (True, 200, 401)


def test_too_many_requests_are_told_how_long_to_wait(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, module=PROBE) as running, httpx.Client(base_url=running.url) as http:
        body: dict[str, Any] = {"name": "local", "password": running.token}
        answers = [http.post("/probe/token", json=body) for _ in range(4)]
        waits = int(answers[3].headers["Retry-After"])
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert (answers[3].json()["detail"], 1 <= waits <= 60) == ("3 per 1 minute", True)


def test_rate_limits_can_be_turned_off(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, "--rate-limits", "off", module=PROBE) as running,
        httpx.Client(base_url=running.url) as http,
    ):
        body = {"name": "local", "password": running.token}
        assert {http.post("/probe/token", json=body).status_code for _ in range(5)} == {200}
