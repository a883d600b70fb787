"""The server dies, stops, or cannot write: nothing is lost that was said to be done, and nothing pretends to be."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.directdrive_client import DirectDrive, frames_of
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

SIZE = 8_000_000
REFUSE_CANCELS = """
    CREATE TRIGGER refuse BEFORE UPDATE OF status ON files WHEN NEW.status = 'cancelled'
    BEGIN SELECT RAISE(ABORT, 'the disk is read-only'); END
"""


async def half(client: DirectDrive, server: ServerProcess, *, kill: bool) -> tuple[dict[str, str], list[dict[str, object]]]:  # fmt: skip
    """Bring half of a file, and end the server."""
    file = await client.initiate("big.bin", SIZE)
    async with client.connect(file) as socket:
        await socket.send(os.urandom(SIZE // 2))
        assert '"progress"' in str(await socket.recv())
        partial = server.partials_dir / file["file_id"]
        await asyncio.to_thread(eventually, lambda: partial.stat().st_size, lambda it: it == SIZE // 2)
        await asyncio.to_thread(server.kill if kill else server.terminate)
        return file, await frames_of(socket)


@pytest.mark.parametrize("kill", [True, False])
async def test_a_file_whose_server_went_away_is_sent_again_from_its_start(
    tmp_path: Path, *, kill: bool
) -> None:
    content = os.urandom(SIZE)
    with ServerProcess(tmp_path) as server:
        async with DirectDrive(server, server.token) as client:
            file, frames = await half(client, server, kill=kill)
            await asyncio.to_thread(server.start)
            between = (await client.file(file))["status"]
            again = await client.send(file, content)
            shown = await client.file(file)
            back = await client.http.get(f"/api/v1/download/stream/{file['file_id']}")
    said = [{"type": "error", "value": "Upload failed: The server is stopping; what arrived is kept."}]
    assert frames == ([] if kill else said)
    assert (between, again[-1]["type"], shown["status"]) == ("uploading", "success", "completed")
    assert hashlib.sha256(back.content).digest() == hashlib.sha256(content).digest()


async def test_a_file_whose_server_was_killed_can_be_cancelled_after_its_restart(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        async with DirectDrive(server, server.token) as client:
            file, _ = await half(client, server, kill=True)
            await asyncio.to_thread(server.start)
            answer = await client.cancel(file)
            assert (answer.status_code, list(server.partials_dir.iterdir())) == (200, [])


async def test_a_cancel_that_the_database_does_not_take_is_500_and_changes_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        async with DirectDrive(server, server.token) as client:
            batch = await client.initiate_batch(("a.txt", 3))
            with closing(sqlite3.connect(server.database_path)) as database:
                database.execute(REFUSE_CANCELS)
            answers = [await client.cancel(batch["files"][0]), await client.cancel_batch(batch)]
            status = [one["status"] for one in await client.files_of(batch)]
    assert [(one.status_code, one.json()) for one in answers] == [
        (500, {"detail": "Failed to update file status"})
    ] * 2
    assert status == ["pending"]
    assert server.log.count("event=cancel_not_saved") == 2


async def test_silence_in_a_socket_ends_the_file(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--stall-seconds", "0.6") as server:
        async with DirectDrive(server, server.token) as client:
            file = await client.initiate("a.txt", 3)
            async with client.connect(file) as socket:
                await socket.send(b"a")
                frames = await frames_of(socket)
            status = (await client.file(file))["status"]
    assert (frames[-1]["type"], status) == ("error", "failed")


async def test_limits_of_the_server_hold(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-size", "1K", "--max-files", "2") as server:
        async with DirectDrive(server, server.token) as client:
            large = {"filename": "a.txt", "size": 1025, "content_type": ""}
            small = large | {"size": 1}
            answers = [
                await client.http.post("/api/v1/upload/initiate", json=large),
                await client.http.post("/api/v1/batch/initiate", json={"files": [small] * 3}),
            ]
            left = (await client.http.get("/api/v1/files/me/history")).json()
    assert ([one.status_code for one in answers], left) == ([413, 409], [])


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def resident_bytes(pid: int) -> int:
    """What the process has in memory at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@needs_proc
async def test_a_zip_of_a_large_batch_is_sent_with_flat_memory(tmp_path: Path) -> None:
    content = os.urandom(48 * 2**20)
    with ServerProcess(tmp_path) as server:
        async with DirectDrive(server, server.token) as client:
            batch = await client.initiate_batch(*[(f"{n}.bin", len(content)) for n in range(4)])
            for file in batch["files"]:
                await client.send(file, content)
            before = resident_bytes(server.pid)
            archive = io.BytesIO()
            async with client.http.stream("GET", f"/api/v1/batch/download-zip/{batch['batch_id']}") as answer:
                async for chunk in answer.aiter_bytes():
                    archive.write(chunk)
            grown = resident_bytes(server.pid) - before
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert [opened.read(name) == content for name in opened.namelist()] == [True] * 4
    assert grown < 16 * 2**20


def open_paths(pid: int) -> list[Path]:
    """What the process has open."""
    return [Path(os.path.realpath(fd)) for fd in Path(f"/proc/{pid}/fd").glob("*")]


@needs_proc
async def test_a_client_that_leaves_a_zip_leaves_no_open_file(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        async with DirectDrive(server, server.token) as client:
            batch = await client.initiate_batch(("big.bin", 64 * 2**20))
            await client.send(batch["files"][0], bytes(64 * 2**20))
            url = f"/api/v1/batch/download-zip/{batch['batch_id']}"
            async with client.http.stream("GET", url) as answer:
                await anext(answer.aiter_bytes())
                during = open_paths(server.pid)
            stored = next(server.files_dir.rglob("big.bin"))
            assert stored in during
            await asyncio.to_thread(eventually, lambda: open_paths(server.pid), lambda it: stored not in it)
        assert server.terminate() == 0
    assert "level=ERROR" not in server.log


async def test_at_the_root_the_addresses_are_exactly_those_of_the_original(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--root-api", "directdrive") as server:
        async with DirectDrive(server, prefix="") as client:
            file = await client.initiate("a.txt", 3)
            frames = await client.send(file, b"abc")
            shown = await client.file(file)
            welcome = (await client.http.get("/directdrive/")).json()
    assert file["gdrive_upload_url"].startswith(f"{server.url}/ws_api/")
    assert (frames[-1]["type"], shown["status"]) == ("success", "completed")
    assert welcome == {"message": "Welcome to the File Transfer API"}
