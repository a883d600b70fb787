"""socket.io of the Hub, by websocket and by polling: what it tells, in the contract's words, and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
import socketio

from tests.support.hub_client import PREFIX, Listener, Sender, image, login, noise, png, project, send
from tests.support.server import ServerProcess

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "polling"])
PROGRESS = {
    "projectId", "batchId", "filename", "fileSize", "progress", "currentFileStatus", "filesCompleted", "filesTotal",
    "percentComplete", "timestamp",
}  # fmt: skip


def fields(payload: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(payload[name] for name in names)


@TRANSPORTS
async def test_an_upload_is_told_file_by_file_and_its_cancel_is_confirmed(
    server: ServerProcess, transport: str
) -> None:
    with login(server) as client:
        here, upload = project(client), str(uuid4())
        async with Listener(server, client, transport) as listener:
            await asyncio.to_thread(send, client, here, "β.png")
            done = await listener.hears("uploadCompleted")
            sender = await asyncio.to_thread(Sender, server, client, here, upload)
            with sender:
                asked = {"operationId": upload, "operationType": "upload"}
                await listener.say("operation:cancel", asked)
                ack = await listener.hears("operation:cancel-ack")
                answer = await asyncio.to_thread(sender.answer)
            how = listener.transport
        status = client.get(f"/api/projects/{here}/uploads/{upload}").json()["data"]["status"]
    told = [one for one in listener.of("uploadProgress") if one["filename"] == "β.png"]
    (gone,) = listener.of("uploadCancelled")
    assert (how, answer.split()[1], status) == (transport, b"409", "cancelled")
    assert [fields(one, "progress", "currentFileStatus", "filesCompleted", "filesTotal") for one in told] == [
        (0, "uploading", 0, 1),
        (50, "uploading", 0, 1),
        (75, "processing", 0, 1),
        (100, "completed", 1, 1),
    ]
    assert {frozenset(one) for one in told} == {frozenset(PROGRESS)}
    assert (done["summary"], [set(one) for one in done["uploadedImages"]]) == (
        {"totalFiles": 1, "successCount": 1, "failedCount": 0},
        [{"id", "name", "originalUrl", "thumbnailUrl"}],
    )
    assert fields(ack, "operationId", "operationType", "success") == (upload, "upload", True)
    assert fields(gone, "uploadId", "status", "removedFiles", "cleanupCompleted") == (
        upload,
        "cancelled",
        1,
        True,
    )
    assert [name for name in listener.names if name not in {"uploadProgress", "uploadCompleted"}] == [
        "uploadCancelling",
        "uploadCancelled",
        "upload:cancelled",
        "operation:cancelled",
        "operation:cancel-ack",
    ]


@TRANSPORTS
async def test_upload_cancel_ends_what_one_sends_into_a_project(
    server: ServerProcess, transport: str
) -> None:
    with login(server) as client:
        here, elsewhere, uploads = project(client), project(client), [str(uuid4()) for _ in range(3)]
        async with Listener(server, client, transport) as listener:
            senders = [
                await asyncio.to_thread(Sender, server, client, place, upload)
                for place, upload in zip((here, here, elsewhere), uploads, strict=True)
            ]
            await listener.say("upload:cancel", {"projectId": here, "uploadId": uploads[0]})
            await listener.hears("uploadCancelled", lambda told: told["uploadId"] == uploads[0])
            after_one = [state(client, here, upload) for upload in uploads[:2]]
            await listener.say("upload:cancel", {"projectId": here})
            await listener.hears("uploadCancelled", lambda told: told["uploadId"] == uploads[1])
            await listener.say("upload:cancel", {"projectId": str(uuid4()), "uploadId": str(uuid4())})
            refused = await listener.hears("upload:cancel-error")
            other = state(client, elsewhere, uploads[2])
            for sender in senders:
                sender.close()
    assert (after_one, other) == (["cancelled", "uploading"], "uploading")
    assert (refused["error"], len(listener.of("uploadCancelled"))) == ("Project not found", 2)


def state(client: Any, project_id: str, upload_id: str) -> str:
    return str(client.get(f"/api/projects/{project_id}/uploads/{upload_id}").json()["data"]["status"])


async def test_a_refused_file_is_told_as_failed(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        async with Listener(server, client, "websocket") as listener:
            await asyncio.to_thread(send, client, here, "a.png", "b.exe")
            await listener.hears("uploadFailed", lambda told: told["filename"] == "b.exe")
    failed = listener.of("uploadFailed")
    assert [fields(one, "filename", "fileIndex", "filesTotal", "canContinue") for one in failed] == [
        ("a.png", 0, 2, False),
        ("b.exe", 1, 2, False),
    ]
    assert {one["error"] for one in failed} == {"The request does not fit the API."}


@TRANSPORTS
async def test_the_queue_is_told_to_the_user_and_its_numbers_to_the_project(
    server: ServerProcess, transport: str
) -> None:
    with login(server) as client:
        here = project(client)
        first, bad = image(client, here), image(client, here, "bad.png", b"no picture")
        async with Listener(server, client, transport) as listener:
            await listener.say("join-project", here)
            await listener.say("request-queue-stats", here)
            asked = await listener.hears("queueStats")
            item = client.post(f"/api/queue/images/{first}").json()["data"]
            await listener.hears("segmentation-update", lambda told: told["status"] == "segmented")
            client.post(f"/api/queue/images/{bad}")
            await listener.hears("segmentation-update", lambda told: told["status"] == "failed")
            await listener.hears("queueStats", lambda told: told["total"] == 1)
            await listener.hears("queueStats", lambda told: listener.names[-1] == "queueStats")
    told = listener.of("segmentation-update")
    states = [one["status"] for one in told if one["imageId"] == first and "progress" not in one]
    (end,) = [one for one in told if one["status"] == "segmented"]
    (failure,) = [one for one in told if one["status"] == "failed"]
    assert fields(asked, "projectId", "queued", "processing", "total") == (here, 0, 0, 0)
    assert states == ["queued", "processing", "segmented"]
    assert fields(end, "projectId", "queueId", "polygonCount") == (here, item["id"], 0)
    assert (failure["imageId"], "cannot identify image" in failure["error"]) == (bad, True)
    assert {frozenset(one) for one in listener.of("queueStats")[1:]} == {
        frozenset({"projectId", "queued", "processing", "total", "timestamp"})
    }


async def test_a_batch_of_the_queue_is_cancelled_by_socket(server: ServerProcess) -> None:
    with login(server) as client:
        here = project(client)
        slow, waiting = image(client, here, "slow.png", png(2500, 2500, noisy=True)), image(client, here)
        async with Listener(server, client, "websocket") as listener:
            body = {"imageIds": [slow, waiting], "projectId": here}
            batch = client.post("/api/queue/batch", json=body).json()["data"]["batchId"]
            asked = {"operationId": batch, "operationType": "segmentation"}
            await listener.hears("segmentation-update", lambda told: told["status"] == "processing")
            await listener.say("operation:cancel", asked)
            await listener.hears("operation:cancel-ack")
            await listener.hears("segmentation:cancelled", lambda told: told["imageId"] == waiting)
            await listener.say("operation:cancel", asked)
            late = await listener.hears("operation:cancel-error")
        numbers = client.get("/api/queue/stats").json()["data"]
    (bulk,), (ended,) = listener.of("segmentation:bulk-cancelled")[:1], listener.of("operation:cancelled")[:1]
    items = listener.of("segmentation:cancelled")
    assert fields(bulk, "cancelledCount", "affectedProjects", "affectedBatches") == (2, [here], [batch])
    assert fields(ended, "operationId", "operationType") == (batch, "segmentation")
    assert {fields(one, "imageId", "batchId") for one in items} == {(slow, batch), (waiting, batch)}
    assert (late["error"], numbers) == (
        "Nothing of this batch is in the queue",
        {"queued": 0, "processing": 0, "total": 0},
    )


@TRANSPORTS
async def test_an_export_is_told_to_its_end_or_cancelled_by_socket(
    server: ServerProcess, transport: str
) -> None:
    with login(server) as client:
        here = project(client)
        for number in range(3):
            image(client, here, f"{number}.png", noise())
        async with Listener(server, client, transport) as listener:
            done = client.post(f"/api/projects/{here}/export").json()["jobId"]
            completed = await listener.hears("export:completed")
            stopped = client.post(f"/api/projects/{here}/export").json()["jobId"]
            await listener.hears("export:started", lambda told: told["jobId"] == stopped)
            await listener.say("export:cancel", {"jobId": stopped, "projectId": here})
            cancelled = await listener.hears("export:cancelled")
            await listener.say("export:cancel", {"jobId": stopped, "projectId": here})
            refused = await listener.hears("export:cancel-error")
        size_bytes = len(client.get(completed["filePath"]).content)
        status = client.get(f"/api/projects/{here}/export/{stopped}/status").json()["status"]
    progress = [one for one in listener.of("export:progress") if one["jobId"] == done]
    assert listener.of("export:started")[0]["jobId"] == done
    assert {fields(one, "phase", "projectId") for one in progress} == {("processing", here)}
    assert [one["progress"] for one in progress] == sorted(one["progress"] for one in progress)
    assert (completed["jobId"], completed["fileSize"], completed["summary"]["totalImages"]) == (
        done,
        size_bytes,
        3,
    )
    assert fields(cancelled, "jobId", "projectId", "cancelledBy", "cleanupCompleted") == (
        stopped,
        here,
        "user",
        True,
    )
    assert (refused["error"], refused["jobId"], status) == ("Export already cancelled", stopped, "cancelled")


@pytest.mark.parametrize(
    ("cookies", "why"),
    [({}, "Authentication token required"), ({"access_token": "nonsense"}, "Authentication failed")],
)
def test_socket_io_wants_a_valid_cookie(server: ServerProcess, cookies: dict[str, str], why: str) -> None:
    path = f"{PREFIX}/socket.io/"
    with httpx.Client(
        base_url=server.url, cookies=cookies, params={"EIO": "4", "transport": "polling"}
    ) as by_hand:
        sid = {"sid": json.loads(by_hand.get(path).text[1:])["sid"]}
        by_hand.post(path, params=sid, content="40")
        polled = by_hand.get(path, params=sid).text
    heard = asyncio.run(refusals(server, cookies))
    assert (json.loads(polled.partition("\x1e")[0][2:]), heard) == ({"message": why}, [{"message": why}])


def test_an_upgrade_that_a_proxy_has_cut_short_is_refused_and_no_error(server: ServerProcess) -> None:
    """Connection is the way's own header and does not pass; some proxies let Upgrade through all the same."""
    path = f"{PREFIX}/socket.io/"
    with httpx.Client(base_url=server.url, params={"EIO": "4"}) as by_hand:
        sid = json.loads(by_hand.get(path, params={"transport": "polling"}).text[1:])["sid"]
        answers = [
            by_hand.get(path, params={"transport": "websocket", **known}, headers={"Upgrade": "websocket"})
            for known in ({}, {"sid": sid})
        ]
    said = [(answer.status_code, answer.json()) for answer in answers]
    assert (said, "ERROR" in server.log) == (
        [(400, "Invalid websocket upgrade"), (400, "Invalid transport")],
        False,
    )


async def refusals(server: ServerProcess, cookies: dict[str, str]) -> list[Any]:
    heard: list[Any] = []
    listener = socketio.AsyncClient(reconnection=False)
    listener.on("connect_error", heard.append)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    path = f"{PREFIX.strip('/')}/socket.io"
    with pytest.raises(socketio.exceptions.ConnectionError):
        await listener.connect(server.url, headers=headers, socketio_path=path, transports=["websocket"])
    await listener.disconnect()
    return heard


async def test_nobody_hears_what_happens_to_others(server: ServerProcess) -> None:
    with login(server) as owner, login(server) as stranger:
        here = project(owner)
        async with (
            Listener(server, owner, "websocket") as mine,
            Listener(server, stranger, "websocket") as theirs,
        ):
            await theirs.say("join-project", here)
            await theirs.say("request-queue-stats", here)
            await theirs.say("operation:cancel", {"operationId": str(uuid4()), "operationType": "upload"})
            refused = await theirs.hears("operation:cancel-error")
            first = await asyncio.to_thread(image, owner, here)
            await mine.say("join-project", here)
            await mine.say("request-queue-stats", here)
            await mine.hears("queueStats")
            owner.post(f"/api/queue/images/{first}")
            await mine.hears("segmentation-update", lambda told: told["status"] == "segmented")
            await mine.hears("queueStats", lambda told: told["total"] == 1)
    assert (refused["error"], theirs.names) == ("Upload not found", ["operation:cancel-error"])
