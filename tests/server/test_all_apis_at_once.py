"""Many clients of several APIs at one batch, and a server that dies under them: the counters add up, nothing is lost."""

from __future__ import annotations

import contextlib
import io
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.support.consistency import contradictions, count, unfinished_jobs
from tests.support.server import ServerProcess
from tests.support.tus import OFFSET_STREAM, metadata
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)
CLIENTS = 50
CONTENT = bytes(range(256)) * 1200  # 307 kB: more than a small file, so that it streams
PASSWORD = "Secret-123-of-a-test"
BATCH_CANCELS = (
    "/api/v1/batch/cancel/{}",
    "/directdrive/api/v1/batch/cancel/{}",
    "/vuemantics/v1/uploads/batches/{}/cancel",
)
FILE_CANCELS = ("/api/v1/upload/cancel/{}", "/directdrive/api/v1/upload/cancel/{}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that a test may kill."""
    with ServerProcess(tmp_path, "--rate-limits", "off") as running:
        yield running


@pytest.fixture
def token(server: ServerProcess) -> str:
    """A user of all APIs."""
    email = f"{uuid4().hex}@example.org"
    with httpx.Client(base_url=server.url + "/vuemantics/v1/auth", timeout=30) as nobody:
        nobody.post("/register", json={"email": email, "password": PASSWORD}).raise_for_status()
        told = nobody.post("/token", data={"username": email, "password": PASSWORD}).raise_for_status()
    return str(told.json()["access_token"])


def client(server: ServerProcess, token: str) -> httpx.Client:
    """One client; verify=False because there is no TLS, and loading certificates takes 30 ms a client."""
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60, verify=False)


def picture(number: int) -> bytes:
    """A small picture, another one for each number."""
    made = io.BytesIO()
    Image.new("RGB", (64, 48), (number % 256, number // 256, 30)).save(made, "PNG")
    return made.getvalue()


def bulk(http: httpx.Client, numbers: range) -> httpx.Response:
    """Send pictures as vuemantics' clients do: they are processed afterwards."""
    files = [("files", (f"{number}.png", picture(number), "image/png")) for number in numbers]
    return http.post("/vuemantics/v1/uploads/bulk", files=files)


def announce(
    http: httpx.Client, batch_id: str, size_bytes: int, content: bytes | None = None
) -> httpx.Response:
    """Create a file by tus; a *content* goes with it."""
    told = metadata(filename="f.bin", relative_path=f"{uuid4().hex}.bin", batch_id=batch_id)
    headers = {"Upload-Length": str(size_bytes), "Upload-Metadata": told}
    if content is not None:
        headers["Content-Type"] = OFFSET_STREAM
    return http.post("/files", content=content, headers=headers)


def patch(http: httpx.Client, location: str, offset: int, content: bytes) -> httpx.Response:
    """Send bytes of a file by tus."""
    return http.patch(
        location, content=content, headers={"Upload-Offset": str(offset), "Content-Type": OFFSET_STREAM}
    )


class Crowd:
    """Fifty clients who finish files, cancel files and cancel the batch, each by another API, from one moment on."""

    def __init__(self, server: ServerProcess, token: str, batch_id: str, seed: int) -> None:
        self.server, self.token, self.batch_id, self.seed = server, token, batch_id, seed
        self.start = threading.Barrier(CLIENTS)
        with client(server, token) as http:
            self.waiting = [
                announce(http, batch_id, len(CONTENT)).headers["Location"] for _ in range(CLIENTS)
            ]

    def live(self, number: int) -> list[tuple[str, int]]:
        """One client's life; what it did and the statuses that it saw."""
        dice = random.Random(self.seed * 1000 + number)
        with client(self.server, self.token) as http:
            self.start.wait(30)
            seen = [self.finish(http, number, dice) for _ in range(dice.randrange(4))]
            if number % 5 == 0:
                where = BATCH_CANCELS[number // 5 % len(BATCH_CANCELS)].format(self.batch_id)
                seen.append(("cancel batch", http.post(where).status_code))
            elif number % 5 == 1:
                file_id = dice.choice(self.waiting).rpartition("/")[2]
                seen.append(("cancel file", http.post(dice.choice(FILE_CANCELS).format(file_id)).status_code))
            return [*seen, self.finish(http, number, dice)]

    def finish(self, http: httpx.Client, number: int, dice: random.Random) -> tuple[str, int]:
        """Finish a file of one's own, or a small new one."""
        if dice.random() < 0.5:
            return "create", announce(http, self.batch_id, 5, b"12345").status_code
        return "patch", patch(http, self.waiting[number], 0, CONTENT).status_code


@pytest.mark.parametrize("seed", range(3))
def test_fifty_clients_finish_and_cancel_one_batch_and_the_counters_add_up(
    server: ServerProcess, token: str, seed: int
) -> None:
    with client(server, token) as http:
        batch_id = bulk(http, range(30)).raise_for_status().json()["batch_id"]
        crowd = Crowd(server, token, batch_id, seed)
        with ThreadPoolExecutor(CLIENTS) as pool:
            seen = Counter(one for life in pool.map(crowd.live, range(CLIENTS)) for one in life)
        eventually(lambda: unfinished_jobs(server), lambda left: left == 0, 30)
        own = http.get(f"/api/v1/batches/{batch_id}").json()
        theirs = http.get(f"/vuemantics/v1/uploads/batches/{batch_id}").json()
    over = own["stored_count"] + own["failed_count"] + own["cancelled_count"]
    won = sum(
        times for (act, status), times in seen.items() if act == "cancel batch" and status in (200, 204)
    )
    created = sum(times for (act, status), times in seen.items() if act == "create" and status == 201)
    assert contradictions(server) == []
    assert (own["status"], own["total_files"], over) == (
        "cancelled",
        30 + CLIENTS + created,
        own["total_files"],
    )
    assert (theirs["status"], won, [act for act, status in seen if status >= 500]) == ("cancelled", 1, [])


def test_kill_9_during_200_uploads_and_processing(server: ServerProcess, token: str) -> None:
    acknowledged: list[str] = []
    with client(server, token) as http:
        batch_id = http.post("/api/v1/batches", json={"name": "Tus"}).json()["batch_id"]

    def send_by_tus(_number: int) -> None:
        with client(server, token) as http, contextlib.suppress(httpx.TransportError):
            for _ in range(20):
                location = announce(http, batch_id, len(CONTENT)).headers["Location"]
                if patch(http, location, 0, CONTENT).status_code == 204:
                    acknowledged.append(location.rpartition("/")[2])

    def send_in_bulk(number: int) -> None:
        with client(server, token) as http, contextlib.suppress(httpx.TransportError):
            told = bulk(http, range(number * 20, number * 20 + 20)).raise_for_status().json()
            acknowledged.extend(told["upload_ids"])

    with ThreadPoolExecutor(10) as pool:
        lives = [pool.submit(send, number) for number in range(5) for send in (send_by_tus, send_in_bulk)]
        eventually(
            lambda: count(server, "SELECT COUNT(*) FROM jobs WHERE status = 'completed'"),
            lambda n: n >= 5,
            30,
        )
        server.kill()
        for one in lives:
            one.result()
    at_the_kill = count(server, "SELECT COUNT(*) FROM files WHERE status = 'stored'"), unfinished_jobs(server)
    server.start()
    eventually(lambda: unfinished_jobs(server), lambda left: left == 0, 60)
    with client(server, token) as http:
        for file_id in unfinished(server):
            http.head(f"/files/{file_id}")  # as its client would; it settles what lay between name and commit
        batches = http.get("/vuemantics/v1/uploads/batches").json()
    lost = [name for name in acknowledged if not is_stored(server, name)]
    assert (contradictions(server), lost) == ([], [])
    assert [batch["id"] for batch in batches if not batch["is_complete"]] == []
    assert count(server, "SELECT COUNT(*) FROM jobs WHERE status != 'completed'") == 0
    assert (0 < at_the_kill[0] < 200, at_the_kill[1] > 0) == (True, True)


def unfinished(server: ServerProcess) -> list[str]:
    """Return the files that are not over, as our own API shows them, from the database."""
    with contextlib.closing(sqlite3.connect(server.database_path, timeout=10)) as database:
        rows = database.execute("SELECT id FROM files WHERE status IN ('pending', 'uploading')").fetchall()
    return [row[0] for row in rows]


def is_stored(server: ServerProcess, file_id: str) -> bool:
    """Tell whether a file is stored."""
    return count(server, f"SELECT COUNT(*) FROM files WHERE id = '{file_id}' AND status = 'stored'") == 1
