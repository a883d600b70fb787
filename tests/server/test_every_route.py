"""Every route of every API: what is somebody else's is 404, and nobody is 401. The routes are those of the applications."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.support.routes import SOCKET_IO, WEBSOCKET, mounted_routes
from tests.support.server import ServerProcess
from tests.support.tus import metadata
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)
PASSWORD = "Secret-123-of-a-test"
GUEST = "guest@example.org"
PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
OPEN = {
    "uphaul": {
        "GET /",
        "GET /healthz",
        "GET /docs",
        "GET /openapi.json",
    },
    "vuemantics": {
        "GET /openapi.json",
        "GET /v1/client-config",
        "GET /v1/health",
        "GET /v1/health/detailed",
        "POST /v1/auth/register",
        "POST /v1/auth/token",
        "POST /v1/auth/token/refresh",
    },
    "directdrive": {"GET /", "GET /openapi.json", "POST /api/v1/auth/register", "POST /api/v1/auth/token"},
    "cell-segmentation-hub": {
        "GET /openapi.json",
        "GET /api/health",
        "GET /api/health/live",
        "GET /api/health/ready",
        "POST /api/auth/register",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
        "POST /api/auth/refresh-token",
    },
    "doorito": {"GET /openapi.json", "GET /health", "GET /ready"},
}
"""What needs no user, by API. Everything else is 401 without one."""
ANONYMOUS = {"directdrive"}
"""Where nobody may upload, too, as the user «anonymous»: without a user what is somebody's is 404, as for any other user."""

INVITING = {"GET /api/share/validate/{token}", "POST /api/share/accept/{token}"}
"""Where whoever has the token of a link is let in: that is what the link is for."""

User = httpx.Client
Ids = Mapping[str, str]


def test_every_api_is_asked_and_every_exception_is_a_route(tmp_path: Path) -> None:
    routes = {
        api: {f"{method} {path}" for method, path in found} for api, found in routes_of(tmp_path).items()
    }
    unknown = {f"{api}: {route}" for api in routes for route in OPEN.get(api, set()) - routes[api]}
    assert (set(routes) - set(HOUSES), unknown) == (set(), set())


def routes_of(tmp_path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return method and path of every route of every application, by API.

    Sockets have no method: what they do with a stranger is told in the tests of their API.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for route in mounted_routes(tmp_path / "routes"):
        if route.method not in {WEBSOCKET, SOCKET_IO, "OPTIONS"}:
            api = "uphaul" if route.api == "tus" else route.api
            found.setdefault(api, []).append((route.method, route.path))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that lets these tests ask as often as they like."""
    with ServerProcess(tmp_path_factory.mktemp("routes"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def users(server: ServerProcess) -> Iterator[tuple[User, User]]:
    """Two users, known to every API: Ada, who has files, and Bob. Ada shares what can be shared with a third, the guest."""
    a_user(server, GUEST).close()
    ada, bob = (a_user(server, f"{name}-{uuid4().hex[:8]}@example.org") for name in ("ada", "bob"))
    with ada, bob:
        yield ada, bob


def a_user(server: ServerProcess, email: str) -> User:
    """A client that sends its token in every way that an API may look for it."""
    with httpx.Client(base_url=server.url, timeout=20) as nobody:
        made = nobody.post("/vuemantics/v1/auth/register", json={"email": email, "password": PASSWORD})
        told = nobody.post("/vuemantics/v1/auth/token", data={"username": email, "password": PASSWORD})
    assert (made.status_code, told.status_code) == (201, 200), (made.text, told.text)
    token = told.json()["access_token"]
    return httpx.Client(
        base_url=server.url,
        headers={
            "Authorization": f"Bearer {token}",
            "Tus-Resumable": "1.0.0",
            "X-Test-User": made.json()["id"],
        },
        cookies={"access_token": token, "accessToken": token},
        timeout=20,
    )


def stored_file(user: User) -> Ids:
    """A stored file in a batch, made with our own API."""
    batch_id = user.post("/api/v1/batches", json={"name": "Mine"}).json()["batch_id"]
    answer = user.post(
        "/files",
        content=b"12345",
        headers={
            "Upload-Length": "5",
            "Upload-Metadata": metadata(filename=f"{uuid4().hex}.txt", batch_id=batch_id),
            "Content-Type": "application/offset+octet-stream",
        },
    )
    assert answer.status_code == 201, answer.text
    return {"batch_id": batch_id, "file_id": answer.headers["Location"].rpartition("/")[2]}


def vuemantics_upload(user: User) -> Ids:
    """A picture of a batch, made with vuemantics' API."""
    picture = io.BytesIO()
    Image.new("RGB", (4, 3)).save(picture, "PNG")
    files = [("files", (f"{uuid4().hex}.png", picture.getvalue(), "image/png"))]
    answer = user.post("/vuemantics/v1/uploads/bulk", files=files)
    assert answer.status_code == 201, answer.text
    batch_id = answer.json()["batch_id"]
    page = user.get("/vuemantics/v1/uploads").json()
    upload = next(iter(page.get("items") or page.get("uploads") or page.values()))
    return {
        "batch_id": batch_id,
        "upload_id": upload["id"],
        "user_id": user.headers["X-Test-User"],
        "name": "file.png",
    }


def hub_image(user: User) -> Ids:
    """An image in a shared project, made with the Cell Segmentation Hub's API."""
    project = user.post("/cell-segmentation-hub/api/projects", json={"title": "Mine"}).json()["data"]["id"]
    address = f"/cell-segmentation-hub/api/projects/{project}"
    picture = io.BytesIO()
    Image.new("RGB", (4, 3)).save(picture, "PNG")
    sent = user.post(f"{address}/images", files=[("images", ("cells.png", picture.getvalue(), "image/png"))])
    shared = user.post(f"{address}/share/email", json={"email": GUEST})
    assert (sent.status_code, shared.status_code) == (200, 201), (sent.text, shared.text)
    link = user.post(f"{address}/share/link", json={}).json()["data"]["shareToken"]
    image = sent.json()["data"]["images"][0]["id"]
    queued = user.post(f"/cell-segmentation-hub/api/queue/images/{image}").json()
    job = user.post(f"{address}/export", json={}).json()["jobId"]
    eventually(
        lambda: user.get(f"{address}/export/{job}/status").json()["status"],
        lambda now: now == "completed",
        20,
    )
    return {
        "id": project,
        "image_id": image,
        "queue_id": queued["data"]["id"],
        "job_id": job,
        "upload_id": sent.json()["data"]["uploadId"],
        "share_id": shared.json()["data"]["id"],
        "token": link,
    }


def doorito_session(user: User) -> Ids:
    """An open session in a batch, made with Doorito's API."""
    batch_id = user.post("/doorito/batches").json()["batch_id"]
    told = {"original_filename": "a.bin", "total_size_bytes": 5, "batch_id": batch_id}
    session_id = user.post("/doorito/uploads/sessions", json=told).json()["session_id"]
    return {"batch_id": batch_id, "session_id": session_id, "number": "1"}


HOUSES: dict[str, Callable[[User], Ids]] = {
    "uphaul": stored_file,
    "vuemantics": vuemantics_upload,
    "directdrive": stored_file,
    "cell-segmentation-hub": hub_image,
    "doorito": doorito_session,
}
"""How to make, as a user of an API, something of each kind that its routes name."""


BODIES = {"/api/projects/{id}/share/email": {"email": GUEST}, "/api/projects/{id}/share/link": {}}
"""What a route must be told before it looks at its id."""


def ask(user: User, api: str, method: str, path: str, ids: Ids) -> httpx.Response:
    """Send the smallest request to a route that gets as far as its id."""
    prefix = "" if api == "uphaul" else f"/{api}"
    address = PARAMETER.sub(lambda found: ids[found[1]], path)
    headers = (
        {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"} if method == "PATCH" else {}
    )
    return user.request(method, prefix + address, headers=headers, json=BODIES.get(path))


@pytest.mark.parametrize("api", HOUSES)
def test_what_is_somebody_elses_is_not_there(
    server: ServerProcess, users: tuple[User, User], tmp_path: Path, api: str
) -> None:
    ada, bob = users
    ids = HOUSES[api](ada)
    seen = {
        f"{method} {path}": ask(bob, api, method, path, ids).status_code
        for method, path in routes_of(tmp_path)[api]
        if PARAMETER.search(path) and f"{method} {path}" not in INVITING
    }
    assert seen == dict.fromkeys(seen, 404)
    assert len(seen) > 3


@pytest.mark.parametrize("api", HOUSES)
def test_its_owner_finds_it(
    server: ServerProcess, users: tuple[User, User], tmp_path: Path, api: str
) -> None:
    ada, _ = users
    seen = {
        f"{method} {path}": ask(ada, api, method, path, HOUSES[api](ada)).status_code
        for method, path in routes_of(tmp_path)[api]
        if PARAMETER.search(path)
    }
    assert {route: status for route, status in seen.items() if status in (401, 404)} == {}


@pytest.mark.parametrize("api", HOUSES)
def test_nobody_gets_in(server: ServerProcess, users: tuple[User, User], tmp_path: Path, api: str) -> None:
    ids = HOUSES[api](users[0])
    with httpx.Client(base_url=server.url, headers={"Tus-Resumable": "1.0.0"}, timeout=20) as nobody:
        seen = {
            f"{method} {path}": ask(nobody, api, method, path, ids).status_code
            for method, path in routes_of(tmp_path)[api]
            if f"{method} {path}" not in OPEN[api]
        }
    if api in ANONYMOUS:
        assert {
            route: status for route, status in seen.items() if "{" in route and status not in (401, 404)
        } == {}
    else:
        assert seen == dict.fromkeys(seen, 401)
