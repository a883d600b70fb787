"""Files arrive: announced by HTTP, brought by WebSocket, asked for, and downloaded again."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.directdrive_client import DirectDrive, frames_of, text_frame

SINKS = ["upload", "upload_parallel"]


@pytest.mark.parametrize("sink", SINKS)
async def test_binary_frames_become_a_file(anna: DirectDrive, sink: str) -> None:
    content = os.urandom(10_000_000)
    file = await anna.initiate("Žluťoučký kůň 🐎.bin", len(content), "application/octet-stream")
    frames = await anna.send(file, content, sink)
    shown = await anna.file(file)
    back = await anna.http.get(f"/api/v1/download/stream/{file['file_id']}")
    percents = [one["value"] for one in frames if one["type"] == "progress"]
    assert percents == [41, 83, 99, 100]
    assert frames[-1] == {"type": "success", "value": f"/api/v1/download/stream/{file['file_id']}"}
    assert (shown["status"], shown["filename"]) == ("completed", "Žluťoučký kůň 🐎.bin")
    assert back.content == content


@pytest.mark.parametrize("sink", SINKS)
async def test_text_frames_of_the_web_page_become_a_file(anna: DirectDrive, sink: str) -> None:
    content = os.urandom(300_000)
    file = await anna.initiate("page.bin", len(content))
    async with anna.connect(file, sink) as socket:
        for start in range(0, len(content), 100_000):
            await socket.send(text_frame(content[start : start + 100_000]))
        await socket.send("DONE")
        frames = await frames_of(socket)
        assert socket.close_code == 1000
    back = await anna.http.get(f"/api/v1/download/stream/{file['file_id']}")
    assert frames[-1]["type"] == "success"
    assert back.content == content


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([b"abc", "DONE"], "Upload failed: The upload ended after 3 of 5 bytes."),
        ([b"abc", b"defg"], "Upload failed: The body goes beyond the file's length."),
        ([b"abc", "?"], 'Upload failed: A text frame must be {"bytes": "<base64>"} or DONE.'),
        ([b"abc", '{"bytes": "%"}'], 'Upload failed: A text frame must be {"bytes": "<base64>"} or DONE.'),
        ([b"abc", "[]"], 'Upload failed: A text frame must be {"bytes": "<base64>"} or DONE.'),
    ],
)
async def test_what_is_not_the_announced_file_fails_and_leaves_nothing(
    anna: DirectDrive, server: Any, sent: list[bytes | str], words: str
) -> None:
    file = await anna.initiate("five.txt", 5)
    async with anna.connect(file) as socket:
        for one in sent:
            await socket.send(one)
        frames = await frames_of(socket)
    shown = await anna.file(file)
    assert frames[-1] == {"type": "error", "value": words}
    assert (shown["status"], shown["error_message"]) == ("failed", words.removeprefix("Upload failed: "))
    assert not (server.partials_dir / file["file_id"]).exists()


async def test_a_frame_larger_than_sixteen_mebibytes_fails(anna: DirectDrive) -> None:
    file = await anna.initiate("large.bin", 20 * 2**20)
    async with anna.connect(file) as socket:
        await socket.send(bytes(17 * 2**20))
        await frames_of(socket)
        assert socket.close_code == 1009
    assert (await anna.ending(file))["status"] == "failed"


async def test_a_socket_without_a_good_address_is_refused(anna: DirectDrive) -> None:
    file = await anna.initiate("a.txt", 3)
    base = f"{anna.socket_base}/upload_parallel/{file['file_id']}"
    with pytest.raises(InvalidStatus) as refused:
        await connect(base)
    closes = []
    for url in (f"{base}?gdrive_url=", f"{anna.socket_base}/upload/nope?gdrive_url=x"):
        async with connect(url, additional_headers=anna.headers) as socket:
            await frames_of(socket)
            closes.append((socket.close_code, socket.close_reason))
    assert refused.value.response.status_code == 403
    assert closes == [(1008, "gdrive_url query parameter is missing."), (1008, "File ID not found")]


async def test_a_second_socket_of_a_file_is_refused_and_does_no_harm(anna: DirectDrive) -> None:
    file = await anna.initiate("six.txt", 6)
    async with anna.connect(file) as first:
        await first.send(b"abc")
        assert '"progress"' in str(await first.recv())
        async with anna.connect(file) as second:
            refused = await frames_of(second)
            assert second.close_code == 1008
        await first.send(b"def")
        frames = await frames_of(first)
    assert refused[0]["type"] == "error"
    assert frames[-1]["type"] == "success"


async def test_a_socket_to_a_file_that_is_over_changes_nothing(anna: DirectDrive) -> None:
    file = await anna.initiate("a.txt", 3)
    await anna.send(file, b"abc")
    async with anna.connect(file) as socket:
        frames = await frames_of(socket)
        assert socket.close_code == 1008
    assert frames == [{"type": "error", "value": "Upload failed: The file is completed."}]
    assert (await anna.file(file))["status"] == "completed"


FILE_KEYS = {
    "_id", "filename", "original_filename", "size_bytes", "content_type", "upload_date", "storage_location", "status",
    "gdrive_id", "gdrive_account_id", "backup_status", "backup_location", "hetzner_remote_path", "owner_id",
    "ip_address", "is_anonymous", "daily_quota_used", "batch_id", "cancelled_at", "cancelled_by", "error_message",
}  # fmt: skip


async def test_nobody_can_upload_and_the_answers_have_the_names_of_the_contract(nobody: DirectDrive) -> None:
    file = await nobody.initiate("../../<b>e.txt", 5, "")
    shown = await nobody.file(file)
    assert set(file) == {"file_id", "gdrive_upload_url", "filename", "safe_filename_for_display"}
    assert (file["filename"], file["safe_filename_for_display"]) == (
        "../../<b>e.txt",
        "../../&lt;b&gt;e.txt",
    )
    assert set(shown) == FILE_KEYS
    assert (shown["filename"], shown["original_filename"]) == ("_____b_e.txt", "../../<b>e.txt")
    assert (shown["_id"], shown["is_anonymous"], shown["owner_id"]) == (file["file_id"], True, None)
    assert (await nobody.http.get("/api/v1/upload/quota-info")).json() == {
        "message": "Upload limits are disabled"
    }


@pytest.mark.parametrize("size", [0, -1, 10 * 2**30 + 1, "many", None])
async def test_a_size_that_cannot_be_is_422(anna: DirectDrive, size: Any) -> None:
    body = {"filename": "a.txt", "size": size, "content_type": ""}
    one = await anna.http.post("/api/v1/upload/initiate", json=body)
    many = await anna.http.post("/api/v1/batch/initiate", json={"files": [body]})
    assert [one.status_code, many.status_code] == [422, 422]
    assert one.json()["detail"][0]["loc"] == ["body", "size"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("virus.EXE", "", "File type '.exe' is not allowed for security reasons"),
        ("a.txt", "application/x-sh", "File type 'application/x-sh' is not allowed for security reasons"),
    ],
)
async def test_a_dangerous_file_is_refused_and_a_batch_with_it_as_a_whole(
    anna: DirectDrive, name: str, kind: str, words: str
) -> None:
    bad = {"filename": name, "size": 1, "content_type": kind}
    good = {"filename": "good.txt", "size": 1, "content_type": ""}
    one = await anna.http.post("/api/v1/upload/initiate", json=bad)
    many = await anna.http.post("/api/v1/batch/initiate", json={"files": [good, bad]})
    assert (one.status_code, one.json()) == (400, {"detail": words})
    assert (many.status_code, many.json()) == (
        400,
        {"detail": f"Upload rejected: dangerous file '{name}' detected. {words}"},
    )
    assert (await anna.http.get("/api/v1/files/me/history")).json() == []


async def test_a_batch_answers_in_the_order_it_was_asked_and_keeps_equal_names_apart(
    anna: DirectDrive,
) -> None:
    batch = await anna.initiate_batch(("a:b.txt", 1), ("same.txt", 3), ("same.txt", 4), ("CON.txt", 2))
    contents = [b"1", b"one", b"zwei", b"22"]
    await asyncio.gather(*[anna.send(*pair) for pair in zip(batch["files"], contents, strict=True)])
    shown = await anna.files_of(batch)
    archive = await anna.http.get(f"/api/v1/batch/download-zip/{batch['batch_id']}")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert opened.testzip() is None
        assert {name.rpartition(".")[0][:5] for name in opened.namelist()} == {
            "a_b",
            "same",
            "same ",
            "file_",
        }
        assert sorted(opened.read(name) for name in opened.namelist()) == sorted(contents)
    assert [one["original_filename"] for one in batch["files"]] == [
        "a_b.txt",
        "same.txt",
        "same.txt",
        "file_CON.txt",
    ]
    assert [one["_id"] for one in shown] == [one["file_id"] for one in batch["files"]]
    assert {one["status"] for one in shown} == {"completed"}


async def test_an_empty_batch_is_made_and_has_no_files(anna: DirectDrive) -> None:
    batch = await anna.initiate_batch()
    answers = [
        await anna.http.get(f"/api/v1/batch/{batch['batch_id']}"),
        await anna.cancel_batch(batch),
    ]
    assert batch["files"] == []
    assert [(one.status_code, one.json()) for one in answers] == [
        (404, {"detail": "No files found for this batch"})
    ] * 2


async def test_a_download_has_ranges_and_never_becomes_a_page(anna: DirectDrive) -> None:
    file = await anna.initiate("höhe.html", 10, "text/html\r\nX-Evil: 1")
    early = await anna.http.get(f"/api/v1/download/stream/{file['file_id']}")
    await anna.send(file, b"0123456789")
    part = await anna.http.get(f"/api/v1/download/stream/{file['file_id']}", headers={"Range": "bytes=2-4"})
    assert (early.status_code, early.json()) == (404, {"detail": "The file is pending."})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-type"] == "application/octet-stream"
    assert part.headers["content-disposition"] == "attachment; filename*=utf-8''h%C3%B6he.html"
