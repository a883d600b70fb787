"""How often DirectDrive may be asked: 429 with Retry-After, each route and each user for itself."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.directdrive_client import DirectDrive
from tests.support.server import ServerProcess

FILE = {"filename": "a.txt", "size": 3, "content_type": "text/plain"}
LOGIN = {"email": "a@example.org", "password": "correct horse"}
ROUTES = {
    "/api/v1/auth/token": {"data": {"username": "a@example.org", "password": "wrong"}},
    "/api/v1/auth/register": {"json": LOGIN},
    "/api/v1/upload/initiate": {"json": FILE},
    "/api/v1/batch/initiate": {"json": {"files": [FILE]}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a tiny share of the limits: one login, one registration, two files and one batch a minute."""
    with ServerProcess(tmp_path_factory.mktemp("limits"), "--rate-limits", "0.003") as running:
        yield running


@pytest.mark.parametrize("path", ROUTES)
async def test_who_asks_too_often_is_told_when_to_ask_again(server: ServerProcess, path: str) -> None:
    seen: list[httpx.Response] = []
    async with DirectDrive(server) as nobody:
        while len(seen) < 5 and (not seen or seen[-1].status_code != 429):
            seen.append(await nobody.http.post(path, **ROUTES[path]))  # type: ignore[arg-type]
    last = seen[-1]
    assert (last.status_code, 1 <= int(last.headers["Retry-After"]) <= 60, set(last.json())) == (
        429,
        True,
        {"detail"},
    )


async def test_a_user_does_not_pay_for_nobody(server: ServerProcess) -> None:
    async with DirectDrive(server) as nobody, DirectDrive(server, server.token) as user:
        while (await nobody.http.post("/api/v1/batch/initiate", json={"files": [FILE]})).status_code != 429:
            pass
        answer = await user.http.post("/api/v1/batch/initiate", json={"files": [FILE]})
    assert answer.status_code == 200
