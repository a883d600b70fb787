"""Cancel does what the document promises: by HTTP, by closing the socket, for a file and for a batch."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.support.directdrive_client import DirectDrive, frames_of
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

SIZE = 8_000_000
NO_MORE = "Only pending or uploading files can be cancelled."
NO_MORE_BATCH = "Only pending or processing batches can be cancelled."


async def begin(socket: ClientConnection) -> None:
    """Send a part and wait until the server has it."""
    await socket.send(bytes(SIZE // 2))
    assert '"progress"' in str(await socket.recv())


@pytest.mark.parametrize("sink", ["upload", "upload_parallel"])
async def test_a_cancel_stops_a_running_socket_and_leaves_nothing(
    anna: DirectDrive, server: ServerProcess, sink: str
) -> None:
    file = await anna.initiate("<big>.bin", SIZE)
    async with anna.connect(file, sink) as socket:
        await begin(socket)
        answer = await anna.cancel(file)
        left = [path.name for path in server.partials_dir.iterdir()]
        frames = await frames_of(socket)
        assert socket.close_code == 1000
    shown = await anna.file(file)
    assert answer.status_code == 200
    assert answer.json() == {
        "message": "Upload cancelled successfully",
        "file_id": file["file_id"],
        "filename": "_big_.bin",
        "safe_filename_for_display": "_big_.bin",
        "cancelled_at": shown["cancelled_at"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["cancelled_at"])
    assert frames == [{"type": "error", "value": "Upload cancelled"}]
    assert (shown["status"], shown["cancelled_by"]) == ("cancelled", "user")
    assert file["file_id"] not in left
    assert not list(server.files_dir.glob("_big_*"))


async def test_a_cancel_before_the_first_byte_keeps_the_socket_out(anna: DirectDrive) -> None:
    file = await anna.initiate("a.txt", 3)
    assert (await anna.cancel(file)).status_code == 200
    frames = await anna_sends(anna, file)
    assert frames == [{"type": "error", "value": "Upload failed: The file is cancelled."}]
    assert (await anna.file(file))["status"] == "cancelled"


async def anna_sends(anna: DirectDrive, file: dict[str, Any]) -> list[dict[str, Any]]:
    async with anna.connect(file) as socket:
        return await frames_of(socket)


async def test_what_is_over_is_not_cancelled_again(anna: DirectDrive) -> None:
    done, failed, cancelled = [await anna.initiate(f"{n}.txt", 3) for n in range(3)]
    await anna.send(done, b"abc")
    await anna.send(failed, b"too long")
    await anna.cancel(cancelled)
    answers = [await anna.cancel(one) for one in (done, failed, cancelled)]
    assert [(one.status_code, one.json()["detail"]) for one in answers] == [
        (400, f"Cannot cancel file with status '{status}'. {NO_MORE}")
        for status in ("completed", "failed", "cancelled")
    ]
    assert (await anna.file(done))["status"] == "completed"


@pytest.mark.parametrize("how", ["before a byte", "in the middle", "without a word"])
async def test_closing_the_socket_is_a_cancel(anna: DirectDrive, server: ServerProcess, how: str) -> None:
    file = await anna.initiate("big.bin", SIZE)
    async with anna.connect(file) as socket:
        if how != "before a byte":
            await begin(socket)
        if how == "without a word":
            socket.transport.abort()
    shown = await anna.ending(file)
    assert (shown["status"], shown["cancelled_by"]) == ("cancelled", "socket_closed")
    assert shown["cancelled_at"] is not None
    assert not (server.partials_dir / file["file_id"]).exists()


async def test_a_batch_cancel_stops_every_socket_and_keeps_what_was_complete(
    anna: DirectDrive, server: ServerProcess
) -> None:
    batch = await anna.initiate_batch(("done.txt", 3), ("one.bin", SIZE), ("two.bin", SIZE), ("waits.txt", 3))
    done, one, two, _ = batch["files"]
    await anna.send(done, b"abc")
    async with anna.connect(one) as first, anna.connect(two, "upload") as second:
        await asyncio.gather(begin(first), begin(second))
        answer = await anna.cancel_batch(batch)
        frames = [await frames_of(first), await frames_of(second)]
    again = await anna.cancel_batch(batch)
    shown = await anna.files_of(batch)
    body = answer.json()
    assert answer.status_code == 200
    assert body == {
        "message": "Batch upload cancelled successfully",
        "batch_id": batch["batch_id"],
        "cancelled_files_count": 3,
        "total_files_in_batch": 4,
        "cancelled_at": shown[1]["cancelled_at"],
    }
    assert frames == [[{"type": "error", "value": "Upload cancelled"}]] * 2
    assert (again.status_code, again.json()) == (
        400,
        {"detail": f"Cannot cancel batch with status 'cancelled'. {NO_MORE_BATCH}"},
    )
    assert [(it["status"], it["cancelled_by"]) for it in shown] == [
        ("completed", None),
        *[("cancelled", "batch_cancel")] * 3,
    ]


@pytest.mark.parametrize(("content", "status"), [(b"abc", "completed"), (b"too long", "failed")])
async def test_a_batch_that_is_over_is_not_cancelled(anna: DirectDrive, content: bytes, status: str) -> None:
    batch = await anna.initiate_batch(("a.txt", 3))
    await anna.send(batch["files"][0], content)
    answer = await anna.cancel_batch(batch)
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": f"Cannot cancel batch with status '{status}'. {NO_MORE_BATCH}"},
    )


async def test_cancels_and_last_bytes_at_once_add_up(anna: DirectDrive) -> None:
    """Each file ends one way, and every answer agrees with it."""
    batch = await anna.initiate_batch(*[(f"{n}.txt", 3) for n in range(50)])

    async def race(number: int, file: dict[str, Any]) -> tuple[bool, bool]:
        if number % 2:
            sent, cancel = await asyncio.gather(anna.send(file, b"abc"), anna.cancel(file))
        else:
            cancel, sent = await asyncio.gather(anna.cancel(file), anna.send(file, b"abc"))
        return any(frame["type"] == "success" for frame in sent), cancel.status_code == 200

    endings = await asyncio.gather(*[race(*pair) for pair in enumerate(batch["files"])])
    shown = await anna.files_of(batch)
    assert [(it["status"] == "completed", it["status"] == "cancelled") for it in shown] == endings
    ours = str(anna.http.base_url).replace("/directdrive/", "/api/v1/batches/") + batch["batch_id"]
    counts = (await anna.http.get(ours)).json()
    stored = sum(it["status"] == "completed" for it in shown)
    assert (counts["total_files"], counts["stored_count"], counts["cancelled_count"]) == (
        50,
        stored,
        50 - stored,
    )


async def test_every_cancel_is_in_the_audit_log(anna: DirectDrive, server: ServerProcess) -> None:
    file, batch = await anna.initiate("a.txt", 3), await anna.initiate_batch(("b.txt", 3))
    await anna.cancel(file)
    await anna.cancel_batch(batch)
    owner = (await anna.http.get("/api/v1/auth/users/me")).json()["_id"]
    wanted = [
        f"event=file_cancelled file_id={file['file_id']} batch_id=- by=user",
        f"event=cancel_asked api=directdrive file_id={file['file_id']} user={owner}",
        f"event=batch_cancelled batch_id={batch['batch_id']} by=batch_cancel",
        f"event=cancel_asked api=directdrive batch_id={batch['batch_id']} user={owner}",
    ]
    await asyncio.to_thread(eventually, lambda: wanted[-1] in server.log, bool)
    assert [one for one in wanted if one not in server.log] == []
