"""Who may do what in the Hub: logins, shares and links, cancels of others' work, deletes, videos, health, paths at the root."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.support.hub_client import (
    PASSWORD,
    PREFIX,
    Listener,
    Sender,
    image,
    login,
    names_of,
    noise,
    on_disk,
    project,
    rows,
    same_user,
    send,
    share,
    until,
)
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that none of these stories breaks."""
    with ServerProcess(tmp_path_factory.mktemp("hub"), "--rate-limits", "off") as running:
        yield running


def test_who_guesses_passwords_waits_as_long_as_he_is_told(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--rate-limits", "0.1") as strict, login(strict) as client:
        wrong = {"email": client.headers["x-test-email"], "password": "not that one"}
        right = wrong | {"password": PASSWORD}
        before = [client.post("/api/auth/login", json=right).status_code for _ in range(3)]
        guesses = [client.post("/api/auth/login", json=wrong).status_code for _ in range(2)]
        refused = client.post("/api/auth/login", json=right)
    assert (before, guesses, refused.status_code) == ([200] * 3, [401] * 2, 429)
    assert (refused.json()["code"], 0 < int(refused.headers["Retry-After"]) <= 900) == (
        "RATE_LIMIT_EXCEEDED",
        True,
    )


def test_a_replayed_refresh_token_ends_the_whole_login(server: ServerProcess) -> None:
    with login(server) as client:
        stolen = client.cookies["refresh_token"]
        first = client.post("/api/auth/refresh-token")
        works = client.get("/api/projects").status_code
        replay = httpx.post(
            f"{server.url}{PREFIX}/api/auth/refresh", headers={"Cookie": f"refresh_token={stolen}"}
        )
        after = [client.get("/api/projects").status_code, client.post("/api/auth/refresh").status_code]
    assert (first.status_code, works, replay.status_code, after) == (200, 200, 401, [401, 401])
    assert replay.json()["error"] == "Neplatný nebo vypršený refresh token"


def test_an_access_token_ends_and_a_refresh_goes_on(server: ServerProcess) -> None:
    with login(server) as client:
        fifteen = client.post("/api/auth/refresh").headers.get_list("set-cookie")
        rows(server, "UPDATE tokens SET expires_at = '2026-01-01T00:00:00.000Z' WHERE kind = 'access'")
        ended = client.get("/api/projects").status_code
        back = client.post("/api/auth/refresh").status_code, client.get("/api/projects").status_code
    access = next(one for one in fifteen if one.startswith("access_token="))
    refresh = next(one for one in fifteen if one.startswith("refresh_token="))
    assert (ended, back) == (401, (200, 200))
    assert ("Max-Age=900;" in access, "HttpOnly" in access, "SameSite=strict" in access) == (True, True, True)
    assert f"Path={PREFIX}/api/auth" in refresh


def test_after_a_logout_no_token_of_it_works(server: ServerProcess) -> None:
    with login(server) as client:
        old = dict(client.cookies)
        out = client.post("/api/auth/logout").status_code
        left = dict(client.cookies)
    with httpx.Client(base_url=server.url + PREFIX) as thief:
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in old.items())}
        seen = [
            thief.get("/api/projects", headers=header).status_code,
            thief.post("/api/auth/refresh", headers=header).status_code,
        ]
    assert (out, left, seen) == (200, {}, [401, 401])


def test_the_owner_cancels_a_guests_upload_and_a_guest_only_his_own(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as guest, login(server) as stranger:
        here, mine, theirs = project(owner), str(uuid4()), str(uuid4())
        share(owner, guest, here)
        with Sender(server, owner, here, mine), Sender(server, guest, here, theirs):
            cancels = [
                who.post(f"/api/projects/{here}/uploads/{what}/cancel").status_code
                for who, what in ((guest, mine), (stranger, theirs), (owner, theirs), (owner, mine))
            ]
    assert cancels == [404, 404, 200, 200]


def test_queue_items_are_their_askers_and_exports_are_the_projects(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as guest, login(server) as stranger:
        here = project(owner)
        share(owner, guest, here)
        for number in range(3):
            image(owner, here, f"{number}.png", noise())
        export = f"/api/projects/{here}/export"
        export += f"/{owner.post(export).json()['jobId']}"
        first = image(owner, here)
        item = owner.post(f"/api/queue/images/{first}").json()["data"]["id"]
        seen = [who.get(f"{export}/status").status_code for who in (owner, guest, stranger)]
        items = [
            who.delete(f"/api/queue/items/{item}").status_code for who in (guest, stranger, owner, owner)
        ]
        exports = [who.post(f"{export}/cancel").status_code for who in (stranger, guest, owner)]
    assert seen == [200, 200, 404]
    assert items[:2] == [404, 404]
    assert items[2:] in ([200, 404], [409, 409])  # taken out, or done before that
    assert exports == [404, 200, 400]


def test_cancel_all_takes_out_ones_own_items_in_every_project(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as guest:
        places = [project(owner), project(owner)]
        share(owner, guest, places[0])
        lane = image(owner, places[0], "b.png", noise())
        for place in places:
            for name in ("c.png", "d.png"):
                image(owner, place, name)
        theirs = guest.post("/api/queue/batch", json={"imageIds": [lane], "projectId": places[0]}).json()
        queued = 0
        for place in places:
            listed = owner.get(f"/api/projects/{place}/images").json()["data"]["images"]
            ids = [one["id"] for one in listed if one["name"] in ("c.png", "d.png")]
            queued += len(
                owner.post("/api/queue/batch", json={"imageIds": ids, "projectId": place}).json()["data"][
                    "queueEntries"
                ]
            )
        told = owner.post("/api/queue/cancel-all-user").json()["data"]
        none = owner.post("/api/queue/cancel-all-user").json()["data"]
        left = owner.get("/api/queue/stats").json()["data"]["total"]
        job = theirs["data"]["queueEntries"][0]["id"].replace("-", "")
        guests = rows(server, f"SELECT status FROM jobs WHERE id = '{job}'")[0][0]
        done = rows(
            server,
            f"SELECT COUNT(*) FROM jobs WHERE kind = 'csh_segment' AND status = 'cancelled' AND owner = '{me(owner)}'",
        )
    assert (told["success"], told["cancelledCount"], left) == (True, done[0][0], 0)
    assert (queued, none["cancelledCount"], guests != "cancelled") == (4, 0, True)
    assert set(told["affectedProjects"]) <= set(places)


def me(client: httpx.Client) -> str:
    return str(client.get("/api/auth/profile").json()["data"]["user"]["id"])


def test_a_delete_that_fails_halfway_has_deleted_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", "--rate-limits", "off") as own, login(own) as client:
        here = project(client)
        ids = [image(client, here, f"{name}.png") for name in "abc"]
        until(lambda: not rows(own, "SELECT 1 FROM jobs WHERE status IN ('queued', 'processing')"))
        refuse = "CREATE TRIGGER refuse BEFORE DELETE ON csh_images WHEN OLD.name = 'b.png'"
        rows(own, f"{refuse} BEGIN SELECT RAISE(ABORT, 'not that one'); END")
        body = {"imageIds": ids, "projectId": here}
        with same_user(client, own) as once:  # a server that has stumbled may hang up
            broken = once.request("DELETE", "/api/images/batch", json=body).status_code
        kept, files = names_of(client, here), on_disk(own)
        rows(own, "DROP TRIGGER refuse")
        told = client.request("DELETE", "/api/images/batch", json=body | {"imageIds": [*ids, str(uuid4())]})
        thumbnails = list((own.data_dir / "thumbnails").iterdir())
        counts = rows(own, "SELECT COUNT(*) FROM files")[0][0], rows(own, "SELECT COUNT(*) FROM jobs")[0][0]
    assert (broken, kept, files) == (500, ["a.png", "b.png", "c.png"], ["a.png", "b.png", "c.png"])
    data = told.json()["data"]
    assert (data["deletedCount"], len(data["failedIds"]), data["errors"]) == (3, 1, ["Image not found"])
    assert (on_disk(own), thumbnails, counts) == ([], [], (0, 0))


def test_a_video_is_an_upload_that_can_be_cancelled(server: ServerProcess) -> None:
    stack = io.BytesIO()
    pages = [Image.new("L", (8, 6), grey) for grey in (0, 90, 180)]
    pages[0].save(stack, "TIFF", save_all=True, append_images=pages[1:])
    film = b"\0\0\0\x18ftypmp42" + bytes(300_000)
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        videos = f"/api/projects/{here}/videos"
        made = [
            client.post(videos, files={"video": (name, body, kind)}).json()["data"]
            for name, body, kind in (
                ("film.mp4", film, "video/mp4"),
                ("stack.tif", stack.getvalue(), "image/tiff"),
            )
        ]
        listed = client.get(f"/api/projects/{here}/images").json()["data"]["images"]
        bytes_back = client.get(f"/api/images/{made[0]['videoContainerId']}/display").content
        queued = client.post(f"/api/queue/images/{made[0]['videoContainerId']}").status_code
        wrong = client.post(videos, files={"video": ("film.exe", film, "video/mp4")})
        with Sender(server, client, here, upload, video=True) as sender:
            cancelled = client.post(f"/api/projects/{here}/uploads/{upload}/cancel").status_code
            answer = sender.answer()
        names = names_of(client, here)
    assert [(one["frameCount"], one["positionCount"]) for one in made] == [(None, 1), (3, 1)]
    assert ({one["isVideoContainer"] for one in listed}, bytes_back == film, queued) == ({True}, True, 400)
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["error"]) == (
        400,
        "GENERIC_ERROR",
        "Not a recognised video format: .exe",
    )
    assert (cancelled, answer.split()[1], names) == (200, b"409", ["film.mp4", "stack.tif"])


def test_a_link_lets_its_bearer_in_until_it_is_revoked_or_over(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as guest, login(server) as late:
        here = project(owner)
        made = owner.post(f"/api/projects/{here}/share/link", json={}).json()["data"]
        short = owner.post(f"/api/projects/{here}/share/link", json={"expiryHours": 1}).json()["data"]
        rows(
            server, f"UPDATE csh_links SET expires_at = '2026-01-01T00:00:00.000Z' WHERE id = '{short['id']}'"
        )
        shown = guest.get(f"/api/share/validate/{made['shareToken']}").json()["data"]["project"]["id"]
        before = guest.get(f"/api/projects/{here}").status_code
        came = [guest.post(f"/api/share/accept/{made['shareToken']}").status_code for _ in range(2)]
        after = [guest.get(f"/api/projects/{here}").status_code, send(guest, here, "g.png").status_code]
        listed = [len(who.get(f"/api/projects/{here}/shares").json()["data"]) for who in (owner, guest)]
        further = guest.post(f"/api/projects/{here}/share/link", json={}).status_code
        revoked = owner.delete(f"/api/projects/{here}/shares/{made['id']}").status_code
        gone = [late.post(f"/api/share/accept/{one['shareToken']}").status_code for one in (made, short)]
    assert (shown, before, came, after) == (here, 404, [200, 200], [200, 200])
    assert (listed, further, revoked, gone) == ([3, 1], 404, 200, [404, 404])


def test_health_needs_no_login_and_says_when_the_disk_is_full(server: ServerProcess, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--min-free", "1000T") as full:
        seen = [
            (one.status_code, one.json().get("success"), one.json().get("ready"))
            for address in (server.url, full.url)
            for one in (httpx.get(f"{address}{PREFIX}/api/health{path}") for path in ("", "/live", "/ready"))
        ]
    well = [(200, True, None), (200, None, None), (200, None, True)]
    ill = [(503, False, None), (200, None, None), (503, None, False)]
    assert seen == [*well, *ill]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_at_the_root_the_paths_are_the_originals(tmp_path: Path, transport: str) -> None:
    options = ("--rate-limits", "off", "--root-api", "cell-segmentation-hub")
    with ServerProcess(tmp_path / "data", *options) as root, login(root, "") as client:
        here, upload = project(client), str(uuid4())
        async with Listener(root, client, transport, "") as listener:
            with Sender(root, client, here, upload, "") as sender:
                await listener.say("upload:cancel", {"projectId": here})
                await listener.hears("uploadCancelled")
                answer = sender.answer()
            sent = send(client, here, "a.png").json()["data"]["images"][0]
            export = f"/api/projects/{here}/export"
            export += f"/{client.post(export).json()['jobId']}"
            await listener.hears("export:completed")
        shown = client.get(sent["displayUrl"]).status_code, client.get(f"{export}/download").status_code
        refreshed = client.post("/api/auth/refresh-token").headers.get_list("set-cookie")
        health = client.get("/api/health").status_code
        own = client.get(f"{root.url}/api/v1/batches", headers=root.headers).status_code
    assert (answer.split()[1], sent["displayUrl"].startswith("/api/images/"), shown) == (
        b"409",
        True,
        (200, 200),
    )
    assert (any("Path=/api/auth;" in one for one in refreshed), health, own) == (True, 200, 200)
