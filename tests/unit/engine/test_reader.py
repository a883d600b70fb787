"""A file as it is fed to a server: whole, hashed on the way, and found out if it changes."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.failure import FailureKind, TransferError
from app.domain.transfer import Transfer
from app.engine.reader import SMALL_BYTES, FileFeed
from app.engine.throttle import Throttle
from tests.support.folders import as_nobody, deep_folder

MIB = 1024 * 1024
SIZES = [0, 1, SMALL_BYTES, SMALL_BYTES + 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 17]
K = FailureKind


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="files") as pool:
        yield pool


def transfer_of(path: Path | str) -> Transfer:
    status = os.stat(path)
    return Transfer("id", "batch", 0, str(path), "name", status.st_size, status.st_mtime_ns)


@asynccontextmanager
async def feed_of(
    transfer: Transfer, executor: ThreadPoolExecutor, throttle: Throttle | None = None
) -> AsyncIterator[FileFeed]:
    async def created(_remote_id: str) -> None: ...

    async with FileFeed(
        transfer, executor, on_created=created, on_progress=lambda _s, _a: None, throttle=throttle
    ) as feed:
        yield feed


async def read_all(feed: FileFeed) -> bytes:
    blocks = []
    while block := await feed.block():
        assert len(block) <= MIB
        blocks.append(block)
    return b"".join(blocks)


async def failure_kind(transfer: Transfer, executor: ThreadPoolExecutor) -> FailureKind:
    with pytest.raises(TransferError) as caught:
        async with feed_of(transfer, executor) as feed:
            await read_all(feed)
    return caught.value.failure.kind


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(random.Random(1).randbytes(5 * MIB + 123))
    os.utime(path, (1_700_000_000, 1_700_000_000))  # so that the next write is another time on any clock
    return path


@pytest.mark.parametrize("size", SIZES)
async def test_every_byte_and_the_hash_of_all(
    size: int, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    data = random.Random(size).randbytes(size)
    path = tmp_path / "a"
    path.write_bytes(data)
    async with feed_of(transfer_of(path), executor) as feed:
        read = await read_all(feed)
        assert (read, feed.sha256()) == (data, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("offset", [0, 1, MIB - 1, MIB, 2 * MIB + 5, 5 * MIB + 122, 5 * MIB + 123])
async def test_a_feed_that_starts_in_the_middle_still_hashes_everything(
    offset: int, big: Path, executor: ThreadPoolExecutor
) -> None:
    data = big.read_bytes()
    async with feed_of(transfer_of(big), executor) as feed:
        await feed.seek(offset)
        rest = await read_all(feed)
        assert (rest, feed.sha256()) == (data[offset:], hashlib.sha256(data).hexdigest())


async def test_going_back_and_forth_does_not_disturb_the_hash(
    big: Path, executor: ThreadPoolExecutor
) -> None:
    data = big.read_bytes()
    async with feed_of(transfer_of(big), executor) as feed:
        for offset in (3 * MIB, 10, 4 * MIB + 1, MIB):
            await feed.seek(offset)
            assert await feed.block() == data[offset : offset + MIB]
        await read_all(feed)
        assert feed.sha256() == hashlib.sha256(data).hexdigest()


async def test_the_hash_is_whole_with_the_last_block(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(MIB + 1))
    async with feed_of(transfer_of(path), executor) as feed:
        await feed.block()
        assert len(await feed.block()) == 1
        assert feed.sha256() == hashlib.sha256(bytes(MIB + 1)).hexdigest()


async def test_the_hash_is_refused_before_the_last_block(big: Path, executor: ThreadPoolExecutor) -> None:
    async with feed_of(transfer_of(big), executor) as feed:
        await feed.block()
        with pytest.raises(TransferError):
            feed.sha256()


async def test_what_happened_since_intake_is_named(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    def put(name: str) -> tuple[Path, Transfer]:
        path = tmp_path / name
        path.write_bytes(b"x" * 10)
        return path, transfer_of(path)

    kinds = {}
    gone, transfer = put("gone")
    gone.unlink()
    kinds["gone"] = await failure_kind(transfer, executor)

    grown, transfer = put("grown")
    grown.write_bytes(b"x" * 11)
    kinds["grown"] = await failure_kind(transfer, executor)

    touched, transfer = put("touched")
    os.utime(touched, ns=(1, 1))
    kinds["touched"] = await failure_kind(transfer, executor)

    linked, transfer = put("linked")
    linked.rename(tmp_path / "moved")
    linked.symlink_to(tmp_path / "moved")
    kinds["linked"] = await failure_kind(transfer, executor)

    fifo, transfer = put("fifo")
    fifo.unlink()
    os.mkfifo(fifo)
    kinds["fifo"] = await failure_kind(transfer, executor)

    folder, transfer = put("folder")
    folder.unlink()
    folder.mkdir()
    kinds["folder"] = await failure_kind(transfer, executor)

    assert kinds == {
        "gone": K.FILE_GONE,
        "grown": K.FILE_CHANGED,
        "touched": K.FILE_CHANGED,
        "linked": K.FILE_NOT_REGULAR,
        "fifo": K.FILE_NOT_REGULAR,
        "folder": K.FILE_NOT_REGULAR,
    }


async def test_a_file_that_may_not_be_read(executor: ThreadPoolExecutor) -> None:
    with as_nobody() as folder:
        (folder / "closed").touch(mode=0)
        assert await failure_kind(transfer_of(folder / "closed"), executor) is K.FILE_UNREADABLE


@pytest.mark.parametrize("change", ["shorter", "written"])
async def test_a_change_in_the_middle_of_reading_is_found(
    change: str, big: Path, executor: ThreadPoolExecutor
) -> None:
    async def read_and_change() -> None:
        async with feed_of(transfer_of(big), executor) as feed:
            await feed.block()
            with big.open("r+b") as file:
                if change == "shorter":
                    file.truncate(3 * MIB)
                else:
                    file.seek(5 * MIB)
                    file.write(b"new")
            await read_all(feed)

    with pytest.raises(TransferError) as caught:
        await read_and_change()
    failure = caught.value.failure
    assert (failure.kind, "while it was read" in failure.detail) == (K.FILE_CHANGED, True)


async def test_a_file_deeper_than_the_longest_path(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    parts = ["n" * 100] * 60
    with deep_folder(tmp_path, parts) as folder_fd:
        fd = os.open("a", os.O_CREAT | os.O_WRONLY, dir_fd=folder_fd)
        os.write(fd, b"deep")
        status = os.fstat(fd)
        os.close(fd)
        source = "/".join([str(tmp_path), *parts, "a"])
        transfer = Transfer("id", "batch", 0, source, "name", status.st_size, status.st_mtime_ns)
        async with feed_of(transfer, executor) as feed:
            assert await read_all(feed) == b"deep"


async def test_a_sparse_file_is_read_without_a_large_memory(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(6 * 1024 * MIB)
    async with feed_of(transfer_of(path), executor) as feed:
        block = await feed.block()
    assert block == bytes(MIB)


@pytest.mark.parametrize("after", range(6))
async def test_a_cancel_at_any_moment_leaves_no_file_open(
    after: int, big: Path, executor: ThreadPoolExecutor
) -> None:
    async def read() -> None:
        async with feed_of(transfer_of(big), executor) as feed:
            await feed.seek(2 * MIB)
            await read_all(feed)

    reading = asyncio.create_task(read())
    for _ in range(after):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.to_thread(executor.shutdown)
    await asyncio.sleep(0)  # the thread's last word reaches the loop
    assert open_files_below(big.parent) == []


async def test_the_speed_limit_spreads_blocks_over_time_and_can_be_lifted(
    big: Path, executor: ThreadPoolExecutor
) -> None:
    now, naps = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        naps.append(seconds)
        now += seconds
        if now > 104:
            throttle.limit_bps = 0

    throttle = Throttle(MIB, lambda: now, sleep)
    async with feed_of(transfer_of(big), executor, throttle) as feed:
        data = await read_all(feed)
    assert (len(data), sum(naps), max(naps) <= 0.2) == (5 * MIB + 123, pytest.approx(4, abs=0.3), True)


def open_files_below(folder: Path) -> list[str]:
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:  # the descriptor of this very listing
            continue
    return [link for link in links if link.startswith(str(folder))]
