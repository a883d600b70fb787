"""The Cell Segmentation Hub as a client sees it: over real HTTP and socket.io on loopback."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import socketio
from PIL import Image

from tests.support.server import ServerProcess

PREFIX = "/cell-segmentation-hub"


def png(width: int = 8, height: int = 6, *, noisy: bool = False) -> bytes:
    content = io.BytesIO()
    pixels = random.Random(1).randbytes(width * height) if noisy else bytes(width * height)
    Image.frombytes("L", (width, height), pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


@contextmanager
def login(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url + PREFIX, timeout=30) as client:
        account = {"email": f"{uuid4().hex}@example.org", "password": "long enough"}
        assert client.post("/api/auth/register", json=account).status_code == 201
        client.headers["x-test-email"] = account["email"]
        yield client


def project(client: httpx.Client) -> str:
    return str(client.post("/api/projects", json={"title": "Buňky"}).json()["data"]["id"])


def send(client: httpx.Client, project_id: str, *names: str, content: bytes | None = None) -> httpx.Response:
    body = png() if content is None else content
    return client.post(
        f"/api/projects/{project_id}/images", files=[("images", (name, body, "image/png")) for name in names]
    )


def until(check: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := check()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


class Sender:
    """A request of one whole image and a half one, which stays open."""

    def __init__(self, server: ServerProcess, client: httpx.Client, project_id: str, upload_id: str) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        head = (
            'Content-Disposition: form-data; name="images"; filename="{}"\r\nContent-Type: image/png\r\n\r\n'
        )
        whole = b"--x\r\n" + head.format("a.png").encode() + png() + b"\r\n--x\r\n"
        half = head.format("b.png").encode() + b"0" * 600_000
        self._socket.sendall(
            f"POST {PREFIX}/api/projects/{project_id}/images HTTP/1.1\r\nHost: x\r\nX-Upload-Id: {upload_id}\r\n"
            f"Cookie: access_token={client.cookies['access_token']}\r\nContent-Length: 5000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
            + whole
            + half
        )
        until(lambda: any(one.stat().st_size > 0 for one in server.partials_dir.iterdir()))

    def answer(self) -> bytes:
        return self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


def on_disk(server: ServerProcess) -> list[str]:
    places = (server.partials_dir, server.files_dir, server.data_dir / "parts")
    return sorted(one.name for place in places for one in place.rglob("*") if one.is_file())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data", "--rate-limits", "off") as running:
        yield running


def test_login_needs_the_cookie_and_a_refresh_works_once(server: ServerProcess) -> None:
    with login(server) as client:
        old = dict(client.cookies)
        first = client.post("/api/auth/refresh-token")
        again = httpx.post(
            f"{server.url}{PREFIX}/api/auth/refresh", cookies={"refresh_token": old["refresh_token"]}
        )
    nobody = httpx.get(f"{server.url}{PREFIX}/api/projects")
    assert [first.status_code, again.status_code, nobody.status_code] == [200, 401, 401]
    assert nobody.json() == {"success": False, "error": "Chybí autentizační token", "code": "UNAUTHORIZED"}


def test_images_of_any_name_and_no_bytes_arrive_whole(server: ServerProcess) -> None:
    with login(server) as client:
        answer = send(client, project(client), "αβγ.png", "漢字.png", "žluť.png").json()
        names = [(one["name"], one["width"], one["height"]) for one in answer["data"]["images"]]
        empty = send(client, project(client), "nic.png", content=b"").json()["data"]["images"][0]
        shown = client.get(f"/api/images/{answer['data']['images'][0]['id']}/display").content
    assert names == [("αβγ.png", 8, 6), ("漢字.png", 8, 6), ("žluť.png", 8, 6)]
    assert (empty["fileSize"], shown) == (0, png())


def test_one_bad_file_leaves_nothing_of_the_request(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        bad = send(client, here, "a.png", "b.exe")
        large = send(client, here, "a.png", content=bytes(20 * 1024 * 1024 + 1))
        listed = client.get(f"/api/projects/{here}/images").json()["data"]["images"]
    assert [(one.status_code, one.json()["code"]) for one in (bad, large)] == [(400, "VALIDATION_ERROR")] * 2
    assert (listed, on_disk(server)) == ([], [])


def test_a_cancel_stops_the_request_and_leaves_nothing(server: ServerProcess) -> None:
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        where = f"/api/projects/{here}/uploads/{upload}"
        before = client.post(f"{where}/cancel").status_code
        sender = Sender(server, client, here, upload)
        running = client.get(where).json()["data"]["status"]
        during = client.post(f"{where}/cancel")
        left = on_disk(server)
        answer = sender.answer()
        sender.close()
        twice = client.post(f"{where}/cancel")
        listed = client.get(f"/api/projects/{here}/images").json()["data"]["images"]
    assert (before, running, during.status_code, during.json()["data"]["removedFiles"]) == (
        404,
        "uploading",
        200,
        1,
    )
    assert (answer.split()[1], b'"CONFLICT"' in answer) == (b"409", True)
    assert (twice.status_code, twice.json()["error"]) == (400, "Upload already cancelled")
    assert (left, listed) == ([], [])


def test_what_is_over_is_not_cancelled(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        upload = send(client, here, "a.png").json()["data"]["uploadId"]
        refused = client.post(f"/api/projects/{here}/uploads/{upload}/cancel")
        listed = client.get(f"/api/projects/{here}/images").json()["data"]["images"]
    assert (refused.status_code, refused.json()["error"], len(listed)) == (400, "Upload already completed", 1)


@pytest.mark.parametrize("ends", ["the sender goes", "the server dies"])
def test_half_an_upload_never_stays(server: ServerProcess, ends: str) -> None:
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        sender = Sender(server, client, here, upload)
        if ends == "the server dies":
            server.kill()
            server.start()
        sender.close()
        where = f"/api/projects/{here}/uploads/{upload}"
        until(lambda: client.get(where).json()["data"]["status"] == "failed" and on_disk(server) == [])
        listed = client.get(f"/api/projects/{here}/images").json()["data"]["images"]
    assert listed == []


def test_others_get_404_and_a_share_lets_them_in(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as guest:
        here = project(owner)
        image = send(owner, here, "a.png").json()["data"]
        asked = [
            ("GET", f"/api/projects/{here}"),
            ("GET", f"/api/projects/{here}/images"),
            ("GET", f"/api/images/{image['images'][0]['id']}"),
            ("DELETE", f"/api/projects/{here}/images/{image['images'][0]['id']}"),
            ("POST", f"/api/projects/{here}/uploads/{image['uploadId']}/cancel"),
            ("POST", f"/api/queue/images/{image['images'][0]['id']}"),
            ("POST", f"/api/projects/{here}/export"),
            ("POST", f"/api/projects/{here}/export/{uuid4()}/cancel"),
            ("DELETE", f"/api/queue/items/{uuid4()}"),
        ]
        strange = [guest.request(*one).status_code for one in asked] + [
            send(guest, here, "x.png").status_code
        ]
        email = {"email": guest.headers["x-test-email"]}
        shared = owner.post(f"/api/projects/{here}/share/email", json=email).status_code
        seen = [guest.get(f"/api/projects/{here}/images").status_code, send(guest, here, "x.png").status_code]
    assert (strange, shared, seen) == ([404] * 10, 201, [200, 200])


def test_an_item_in_work_is_cancelled_and_the_next_one_is_done(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        slow = send(client, here, "slow.png", content=png(4000, 4000, noisy=True)).json()["data"]["images"][
            0
        ]["id"]
        fast = send(client, here, "fast.png").json()["data"]["images"][0]["id"]
        body = {"imageIds": [slow, fast], "projectId": here}
        items = [one["id"] for one in client.post("/api/queue/batch", json=body).json()["data"]["queueEntries"]]
        until(lambda: client.get(f"/api/queue/projects/{here}/stats").json()["data"]["processing"])
        codes = [client.delete(f"/api/queue/items/{items[0]}").status_code for _ in range(2)]
        until(lambda: client.get(f"/api/images/{fast}").json()["data"]["segmentationStatus"] == "segmented")
        late = client.delete(f"/api/queue/items/{items[1]}").status_code
        status = client.get(f"/api/images/{slow}").json()["data"]["segmentationStatus"]
    assert (codes, late, status) == ([200, 404], 409, "no_segmentation")


def test_an_export_is_downloaded_or_cancelled(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        send(client, here, "same.png", "same.png")
        exports = f"/api/projects/{here}/export"
        done = f"{exports}/{client.post(exports).json()['jobId']}"
        until(lambda: client.get(f"{done}/status").json()["status"] == "completed")
        names = zipfile.ZipFile(io.BytesIO(client.get(f"{done}/download").content)).namelist()
        late = client.post(f"{done}/cancel").status_code
        for number in range(6):
            send(client, here, f"{number}.png", content=png(4000, 4000, noisy=True))
        running = f"{exports}/{client.post(exports).json()['jobId']}"
        codes = [client.post(f"{running}/cancel").status_code for _ in range(2)]
        status = client.get(f"{running}/status").json()["status"]
    left = [one for one in on_disk(server) if one.startswith("csh-export")]
    assert names == ["images/same.png", "images/same (2).png", "annotations.json"]
    assert (late, codes, status, len(left)) == (400, [200, 400], "cancelled", 1)


async def test_socket_io_tells_of_progress_and_confirms_a_cancel(server: ServerProcess) -> None:
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        heard: list[tuple[str, Any]] = []
        listener = socketio.AsyncClient(reconnection=False)
        listener.on("*", lambda name, payload: heard.append((name, payload)))
        path = f"{PREFIX.strip('/')}/socket.io"
        cookie = {"Cookie": f"access_token={client.cookies['access_token']}"}
        await listener.connect(server.url, headers=cookie, socketio_path=path, transports=["websocket"])
        await asyncio.to_thread(send, client, here, "β.png")
        sender = await asyncio.to_thread(Sender, server, client, here, upload)
        await listener.emit("operation:cancel", {"operationId": upload, "operationType": "upload"})
        await asyncio.to_thread(until, lambda: "operation:cancel-ack" in [name for name, _ in heard])
        sender.close()
        await listener.disconnect()
        status = client.get(f"/api/projects/{here}/uploads/{upload}").json()["data"]["status"]
    first = [
        one["progress"] for name, one in heard if name == "uploadProgress" and one["filename"] == "β.png"
    ]
    names = [name for name, _ in heard if name != "uploadProgress"]
    assert (first, status) == ([0, 50, 75, 100], "cancelled")
    assert names == [
        "uploadCompleted",
        "uploadCancelling",
        "uploadCancelled",
        "upload:cancelled",
        "operation:cancelled",
        "operation:cancel-ack",
    ]


async def test_socket_io_wants_a_valid_cookie(server: ServerProcess) -> None:
    listener = socketio.AsyncClient(reconnection=False)
    heard: list[Any] = []
    listener.on("connect_error", heard.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await listener.connect(
            server.url, socketio_path=f"{PREFIX.strip('/')}/socket.io", transports=["websocket"]
        )
    await listener.disconnect()
    assert heard == [{"message": "Authentication token required"}]


def test_fifty_cancels_of_one_upload_succeed_once(server: ServerProcess) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with login(server) as client:
        here, upload = project(client), str(uuid4())
        sender = Sender(server, client, here, upload)
        cancel = f"/api/projects/{here}/uploads/{upload}/cancel"
        with ThreadPoolExecutor(50) as crowd:
            codes = list(crowd.map(lambda _: client.post(cancel).status_code, range(50)))
        sender.close()
    assert (sorted(codes), on_disk(server)) == ([200] + [400] * 49, [])
