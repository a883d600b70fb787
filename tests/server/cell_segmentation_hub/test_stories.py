"""The Cell Segmentation Hub as a client sees it: over real HTTP on loopback."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.hub_client import PREFIX, Sender, login, on_disk, png, project, send, until
from tests.support.server import ServerProcess


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


def test_a_cancel_while_the_disk_is_slow_leaves_nothing_that_comes_later(tmp_path: Path) -> None:
    """A thread that opens a file cannot be stopped, and the cancel looks before the file is there."""
    (tmp_path / "hold").touch()
    slow = ServerProcess(tmp_path, "--rate-limits", "off", module="tests.support.slow_open_server")
    with slow as server, login(server) as client, ThreadPoolExecutor(2) as pool:
        here, upload = project(client), str(uuid4())
        where, large = (
            f"/api/projects/{here}/uploads/{upload}",
            {"images": ("a.png", bytes(500_000), "image/png")},
        )
        headers = {"X-Upload-Id": upload}
        sending = pool.submit(client.post, f"/api/projects/{here}/images", headers=headers, files=large)
        until((tmp_path / "opening").exists)
        cancel = pool.submit(client.post, f"{where}/cancel")
        until(lambda: client.get(where).json()["data"]["status"] != "uploading")
        (tmp_path / "hold").unlink()
        until((tmp_path / "opened").exists)
        status, answer = cancel.result().json()["data"]["status"], sending.result().status_code
        assert (status, answer, on_disk(server)) == ("cancelled", 409, [])


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
        items = [
            one["id"] for one in client.post("/api/queue/batch", json=body).json()["data"]["queueEntries"]
        ]
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


def test_fifty_cancels_of_one_upload_succeed_once(server: ServerProcess) -> None:
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        sender = Sender(server, client, here, upload)
        cancel = f"/api/projects/{here}/uploads/{upload}/cancel"
        with ThreadPoolExecutor(50) as crowd:
            codes = list(crowd.map(lambda _: client.post(cancel).status_code, range(50)))
        sender.close()
    assert (sorted(codes), on_disk(server)) == ([200] + [400] * 49, [])
