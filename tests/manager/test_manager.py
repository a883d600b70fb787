"""The facade with everything real around it: journal, embedded server, files, and a second program beside it."""

import asyncio
import hashlib
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.events import CancelEnded, EngineEvent
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import TransferView
from app.manager import UploadManager
from app.places import Places
from app.settings import Settings
from tests.support.clock import until
from tests.support.engine_house import make_files

S, B = TransferState, BatchState
KIB, MIB = 1024, 1024 * 1024
SLOW = Settings(speed_limit_bps=512 * KIB, uploads_at_once=3)


@asynccontextmanager
async def manager(
    home: Path, settings: Settings | None = None, *, adopt: bool = True
) -> AsyncIterator[tuple[UploadManager, list[EngineEvent]]]:
    events: list[EngineEvent] = []
    made = UploadManager(Places(home, home), settings or Settings(), on_event=events.append)
    await made.start(adopt=adopt)
    try:
        yield made, events
    finally:
        await made.close()


async def rows(of: UploadManager, batch_id: str) -> dict[str, TransferView]:
    return {view.name: view for view in await of.transfers(batch_id)}


async def state(of: UploadManager, batch_id: str) -> BatchState:
    return next(view.state for view in await of.batches() if view.id == batch_id)


async def sending(of: UploadManager, batch_id: str) -> None:
    """Wait until the server has taken some bytes of a large file."""
    while not any(0 < view.done_bytes < view.size_bytes for view in await of.transfers(batch_id)):
        of.drain(batch_id)
        await asyncio.sleep(0.02)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def in_database(home: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{home / 'server' / 'server.sqlite3'}?mode=ro", uri=True) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def kill_the_server(home: Path) -> None:
    """``kill -9`` the embedded server that works on this home, as the system would."""
    subprocess.run(["pkill", "-KILL", "-f", f"serve.*{home}"], check=True)


def partials(home: Path) -> list[Path]:
    return [path for path in (home / "server" / "partials").iterdir() if path.is_file()]


async def test_a_folder_arrives_byte_for_byte_under_its_own_name(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [0, 1, 300_000, 3 * MIB])
    make_files(tmp_path / "Photos" / "day 2", [5, 6])
    async with manager(tmp_path / "home") as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await uploads.wait_idle([batch_id])
        folder = await uploads.folder(batch_id)
        assert (folder, digests(folder or Path())) == (
            tmp_path / "home/server/files/Photos",
            digests(tmp_path / "Photos"),
        )


async def test_a_batch_is_cancelled_at_the_server_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [4 * MIB] * 3 + [100] * 200)
    home = tmp_path / "home"
    async with manager(home, SLOW) as (uploads, events):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await sending(uploads, batch_id)
        await uploads.cancel_batch(batch_id)
        await uploads.wait_idle([batch_id])
        await until(lambda: any(isinstance(event, CancelEnded) for event in events))
        unfinished = in_database(home, "SELECT status FROM files WHERE status NOT IN ('cancelled', 'stored')")
        cancelled = in_database(home, "SELECT cancelled_at IS NOT NULL FROM batches")
        assert (await state(uploads, batch_id), unfinished, cancelled, partials(home)) == (
            B.CANCELLED,
            [],
            [(1,)],
            [],
        )


async def test_one_file_is_cancelled_and_the_others_arrive(tmp_path: Path) -> None:
    made = make_files(tmp_path / "Photos", [4 * MIB, 100, 100])
    home = tmp_path / "home"
    async with manager(home, SLOW) as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await sending(uploads, batch_id)
        await uploads.cancel_transfers([(await rows(uploads, batch_id))["f0"].id])
        await uploads.wait_idle([batch_id])
        seen = {name: (view.state, view.ending) for name, view in (await rows(uploads, batch_id)).items()}
        assert (seen, partials(home)) == (
            dict.fromkeys(made, (S.COMPLETED, None)) | {"f0": (S.CANCELLED, CancelEnding.CANCELLED)},
            [],
        )


@pytest.mark.expects_log
async def test_the_server_dies_in_mid_upload_and_the_batch_goes_on(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [2 * MIB, 100, 100])
    home = tmp_path / "home"
    async with manager(home, SLOW) as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await sending(uploads, batch_id)
        kill_the_server(home)
        await uploads.wait_idle([batch_id])
        stored = in_database(
            home, "SELECT COUNT(*), COUNT(DISTINCT relative_path) FROM files WHERE status = 'stored'"
        )
        assert (digests(home / "server/files/Photos"), stored) == (digests(tmp_path / "Photos"), [(3, 3)])


async def test_a_new_start_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [2 * MIB] * 2 + [100] * 20)
    home = tmp_path / "home"
    async with manager(home, SLOW) as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await sending(uploads, batch_id)
    async with manager(home) as (uploads, _):
        await uploads.wait_idle([batch_id])
        files = in_database(home, "SELECT COUNT(*) FROM files")
        assert (digests(home / "server/files/Photos"), files) == (digests(tmp_path / "Photos"), [(22,)])


async def test_another_program_asks_for_the_cancel_and_the_owner_carries_it_out(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [4 * MIB] * 2)
    home = tmp_path / "home"
    async with manager(home, SLOW) as (window, _):
        batch_id = await window.add([str(tmp_path / "Photos")], "embedded")
        await sending(window, batch_id)
        async with manager(home, adopt=False) as (other, _):
            await other.cancel_batch(batch_id)
            await other.wait_idle([batch_id])
            seen_there = await state(other, batch_id)
        assert (seen_there, await state(window, batch_id), partials(home)) == (B.CANCELLED, B.CANCELLED, [])


async def test_what_was_removed_can_be_brought_back(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [10])
    async with manager(tmp_path / "home") as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await uploads.wait_idle([batch_id])
        await uploads.remove([batch_id])
        gone = list(await uploads.batches())
        await uploads.restore([batch_id])
        back = [view.name for view in await uploads.batches()]
        assert (gone, back, list(await rows(uploads, batch_id))) == ([], ["Photos"], ["f0"])


async def test_a_stored_file_can_be_deleted_from_the_server(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [10, 10])
    home = tmp_path / "home"
    async with manager(home) as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await uploads.wait_idle([batch_id])
        deleted = await uploads.delete_remote([(await rows(uploads, batch_id))["f0"].id])
        assert (deleted, list(digests(home / "server/files/Photos"))) == (1, ["f1"])


async def test_the_timeline_tells_the_whole_journey(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [10])
    async with manager(tmp_path / "home") as (uploads, _):
        batch_id = await uploads.add([str(tmp_path / "Photos")], "embedded")
        await uploads.wait_idle([batch_id])
        details = await uploads.details((await rows(uploads, batch_id))["f0"].id)
        assert [entry.state for entry in (details.timeline if details else ())] == [
            S.QUEUED,
            S.PREPARING,
            S.UPLOADING,
            S.PROCESSING,
            S.COMPLETED,
        ]
