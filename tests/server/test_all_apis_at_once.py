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
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.support.consistency import contradictions, count, unfinished_jobs
from tests.support.doorito_client import parts_on_disk
from tests.support.server import ServerProcess
from tests.support.tus import OFFSET_STREAM, metadata
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)
CLIENTS = 50
CONTENT = bytes(range(256)) * 1200  # 307 kB: more than a small file, so that it streams
PART_BYTES = 262_144
COUNTS = ("total_files", "stored_count", "failed_count", "cancelled_count")
PASSWORD = "Secret-123-of-a-test"
BATCH_CANCELS = (
    "/api/v1/batch/cancel/{}",
    "/directdrive/api/v1/batch/cancel/{}",
    "/vuemantics/v1/uploads/batches/{}/cancel",
    "/doorito/batches/{}/cancel",
)
FILE_CANCELS = ("/api/v1/upload/cancel/{}", "/directdrive/api/v1/upload/cancel/{}")
SESSIONS = "/doorito/uploads/sessions"
HUB = "/cell-segmentation-hub/api/projects"


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
    cookies = {"access_token": token}  # what the Hub knows a user by
    return httpx.Client(base_url=server.url, headers=headers, cookies=cookies, timeout=60, verify=False)


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


def begin_session(http: httpx.Client, batch_id: str) -> httpx.Response:
    """Announce a file of two parts as Doorito's clients do."""
    told = {"original_filename": f"{uuid4().hex}.bin", "content_type": "text/plain", "batch_id": batch_id}
    return http.post(SESSIONS, json=told | {"total_size_bytes": len(CONTENT), "chunk_size_bytes": PART_BYTES})


def end_session(http: httpx.Client, session: str) -> int:
    """Send its parts and finalize it; return the first status that was no success, else the last."""
    for number, start in enumerate(range(0, len(CONTENT), PART_BYTES), 1):
        part = CONTENT[start : start + PART_BYTES]
        answer = http.put(f"{SESSIONS}/{session}/parts/{number}", content=part)
        if answer.is_error:
            return answer.status_code
    return http.post(f"{SESSIONS}/{session}/finalize").status_code


class Crowd:
    """Fifty clients who finish files, cancel files and cancel the batch, each by another API, from one moment on."""

    def __init__(
        self, server: ServerProcess, token: str, batch_id: str, seed: int, *more_cancels: str
    ) -> None:
        self.server, self.token, self.batch_id, self.seed = server, token, batch_id, seed
        self.batch_cancels = (*BATCH_CANCELS, *more_cancels)
        self.start = threading.Barrier(CLIENTS)
        with client(server, token) as http:
            self.waiting = [
                announce(http, batch_id, len(CONTENT)).headers["Location"] for _ in range(CLIENTS)
            ]
            self.sessions = [begin_session(http, batch_id).json()["session_id"] for _ in range(CLIENTS)]

    def act(self) -> Counter[tuple[str, int]]:
        """Let all of them live; return what they did, and how often each status was the answer."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            return Counter(one for life in pool.map(self.live, range(CLIENTS)) for one in life)

    def live(self, number: int) -> list[tuple[str, int]]:
        """One client's life; what it did and the statuses that it saw."""
        dice = random.Random(self.seed * 1000 + number)
        with client(self.server, self.token) as http:
            self.start.wait(30)
            seen = [self.finish(http, number, dice) for _ in range(dice.randrange(4))]
            if number % 5 == 0:
                where = self.batch_cancels[number // 5 % len(self.batch_cancels)].format(self.batch_id)
                act = "cancel of the Hub" if where.startswith(HUB) else "cancel batch"
                seen.append((act, http.post(where).status_code))
            elif number % 5 == 1:
                seen.append(("cancel file", self.cancel_file(http, dice).status_code))
            return [*seen, self.finish(http, number, dice)]

    def cancel_file(self, http: httpx.Client, dice: random.Random) -> httpx.Response:
        """Cancel somebody's file, by one of the APIs that know it."""
        if dice.random() < 1 / 3:
            return http.post(f"{SESSIONS}/{dice.choice(self.sessions)}/cancel")
        return http.post(dice.choice(FILE_CANCELS).format(dice.choice(self.waiting).rpartition("/")[2]))

    def finish(self, http: httpx.Client, number: int, dice: random.Random) -> tuple[str, int]:
        """Finish a file of one's own, by tus or in parts, or make a new one."""
        how = dice.randrange(4)
        if how == 0:
            return "create", announce(http, self.batch_id, 5, b"12345").status_code
        if how == 1:
            return "patch", patch(http, self.waiting[number], 0, CONTENT).status_code
        if how == 2:
            return "session", end_session(http, self.sessions[number])
        return "create", begin_session(http, self.batch_id).status_code


def at_rest(server: ServerProcess, http: httpx.Client, batch_id: str) -> tuple[dict[str, Any], int]:
    """Wait until nothing is processed; return the batch, and how many of its files are over."""
    eventually(lambda: unfinished_jobs(server), lambda left: left == 0, 30)
    batch = http.get(f"/api/v1/batches/{batch_id}").json()
    return batch, batch["stored_count"] + batch["failed_count"] + batch["cancelled_count"]


def times(seen: Counter[tuple[str, int]], act: str, *statuses: int) -> int:
    """Return how often something was done with one of these results."""
    return sum(number for (what, status), number in seen.items() if what == act and status in statuses)


@pytest.mark.parametrize("seed", range(3))
def test_fifty_clients_finish_and_cancel_one_batch_and_the_counters_add_up(
    server: ServerProcess, token: str, seed: int
) -> None:
    with client(server, token) as http:
        batch_id = bulk(http, range(30)).raise_for_status().json()["batch_id"]
        seen = Crowd(server, token, batch_id, seed).act()
        own, over = at_rest(server, http, batch_id)
        theirs = http.get(f"/vuemantics/v1/uploads/batches/{batch_id}").json()
        doorito = http.get(f"/doorito/batches/{batch_id}").json()
    assert contradictions(server) == []
    assert (own["status"], own["total_files"], over) == (
        "cancelled",
        30 + 2 * CLIENTS + times(seen, "create", 201),
        own["total_files"],
    )
    assert (theirs["status"], times(seen, "cancel batch", 200, 204)) == ("cancelled", 1)
    assert [doorito[name] for name in COUNTS] == [own[name] for name in COUNTS]
    assert ([act for act, status in seen if status >= 500], on_shelf(server)) == ([], [])


class HubUpload:
    """An upload of three images into a project of the Hub, which stands in the middle of the second until it is let go."""

    def __init__(self, server: ServerProcess, token: str, project_id: str, upload_id: str) -> None:
        self._server, self._token = server, token
        self._address, self._upload_id = f"{HUB}/{project_id}/images", upload_id
        self.go = threading.Event()

    def send(self) -> int | None:
        """Send it; return the status, or None if the server hung up."""
        headers = {"Content-Type": "multipart/form-data; boundary=x", "X-Upload-Id": self._upload_id}
        with client(self._server, self._token) as http:
            try:
                return http.post(self._address, content=self._body(), headers=headers).status_code
            except httpx.TransportError:
                return None

    def _body(self) -> Iterator[bytes]:
        head = 'Content-Disposition: form-data; name="images"; filename="{}.png"\r\nContent-Type: image/png\r\n\r\n'
        for number in range(3):
            content = picture(number) + bytes(600_000)
            yield f"--x\r\n{head.format(number)}".encode() + content[:400_000]
            if number == 1:
                self.go.wait(60)
            yield content[400_000:] + b"\r\n"
        yield b"--x--\r\n"


@pytest.mark.parametrize("seed", range(3))
def test_fifty_clients_at_the_batch_of_an_upload_of_the_hub(
    server: ServerProcess, token: str, seed: int
) -> None:
    upload_id = str(uuid4())
    with client(server, token) as http, ThreadPoolExecutor(1) as sender:
        project_id = http.post(HUB, json={"title": "Cells"}).json()["data"]["id"]
        upload = HubUpload(server, token, project_id, upload_id)
        sent = sender.submit(upload.send)
        batch_id = eventually(lambda: arriving(server), bool, 20)
        crowd = Crowd(server, token, batch_id, seed, f"{HUB}/{project_id}/uploads/{upload_id}/cancel")
        letting_go = threading.Timer(seed * 0.1, upload.go.set)  # before, among and after the cancels
        letting_go.start()
        seen = crowd.act()
        status = sent.result(60)
        letting_go.join()
        own, over = at_rest(server, http, batch_id)
        state = eventually(lambda: http.get(f"{HUB}/{project_id}/uploads/{upload_id}").json(), is_over)
        images = http.get(f"{HUB}/{project_id}/images").json()["data"]["images"]
    assert contradictions(server) == []
    assert (own["status"], own["total_files"], own["cancelled_at"] is not None) == ("cancelled", over, True)
    assert (state["data"]["status"], status, len(images)) in {
        ("completed", 200, 3),
        ("cancelled", 409, 0),
        ("cancelled", None, 0),
        ("failed", 409, 0),
        ("failed", None, 0),
    }
    assert times(seen, "cancel batch", 200, 204) <= 1
    assert ([act for act, answer in seen if answer >= 500], on_shelf(server)) == ([], [])


def arriving(server: ServerProcess) -> str | None:
    """Return the batch of the upload whose second file is on its way."""
    with contextlib.closing(sqlite3.connect(server.database_path, timeout=10)) as database:
        row = database.execute(
            "SELECT batch_id FROM files WHERE origin = 'cell_segmentation_hub' AND status = 'uploading' AND filename = '1.png'"
        ).fetchone()
    return None if row is None else str(row[0])


def is_over(answer: dict[str, Any]) -> bool:
    """Tell whether an upload of the Hub is over."""
    return answer["data"]["status"] in {"completed", "cancelled", "failed"}


def on_shelf(server: ServerProcess) -> list[str]:
    """Return the parts that are on the disk; here every session is over."""
    return eventually(lambda: parts_on_disk(server.data_dir), lambda left: left == [])


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
