"""Whatever happens, rows, counters and disk say the same."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.consistency import contradictions
from tests.support.server import ServerProcess
from tests.support.tus import TusClient

CONTENT = bytes(range(256)) * 2000  # 512 kB: more than a small file, so that it streams


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that a test may kill."""
    with ServerProcess(tmp_path) as running:
        yield running


def live(server: ServerProcess, batch: str, seed: int) -> None:
    """One client that uploads and cancels until the server is gone."""
    dice = random.Random(seed)
    with TusClient(server) as tus, contextlib.suppress(httpx.TransportError, AssertionError):
        while True:
            small = dice.random() < 0.5
            content = CONTENT[:2000] if small else CONTENT
            path = f"{dice.randrange(5)}/{dice.randrange(20)}"
            created = tus.create(
                len(content), content if small else None, filename="f", relative_path=path, batch_id=batch
            )
            location = created.headers["Location"]
            if dice.random() < 0.3:
                tus.cancel_file(location)
            half = dice.randrange(len(content))
            tus.patch(location, 0, content[:half])
            if dice.random() < 0.3:
                tus.cancel_file(location)
            tus.patch(location, half, content[half:])


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_under_load_leaves_no_contradiction(server: ServerProcess, seed: int) -> None:
    dice = random.Random(seed)
    for round_number in range(2):
        with TusClient(server) as tus:
            batch = tus.batch("Storm")
        killer = threading.Timer(0.2 + dice.random() * 0.4, server.kill)
        with ThreadPoolExecutor(8) as pool:
            lives = [
                pool.submit(live, server, batch, seed * 100 + round_number * 10 + number)
                for number in range(8)
            ]
            killer.start()
            for one in lives:
                one.result()
        killer.join()
        server.start()
    finish_all(server)
    assert contradictions(server) == []


def finish_all(server: ServerProcess) -> None:
    """Ask for every unfinished file, as its client would; that settles what a kill left between name and commit."""
    database = sqlite3.connect(server.database_path, timeout=10)
    unfinished = [
        row[0] for row in database.execute("SELECT id FROM files WHERE status IN ('pending', 'uploading')")
    ]
    database.close()
    with TusClient(server) as tus:
        for file_id in unfinished:
            tus.head(f"/files/{file_id}")


def test_finishing_and_deleting_in_one_folder_never_collide(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        batch = tus.batch("Folder")

    def life(number: int) -> list[int]:
        with TusClient(server) as client:
            statuses = []
            for turn in range(10):
                created = client.create(
                    3, b"abc", filename=f"{number}-{turn}", relative_path="a/b/c", batch_id=batch
                )
                statuses.append(created.status_code)
                statuses.append(client.http.delete(f"/api/v1{created.headers['Location']}").status_code)
            return statuses

    with ThreadPoolExecutor(10) as pool:
        seen = {status for statuses in pool.map(life, range(10)) for status in statuses}
    assert (seen, contradictions(server), list(server.files_dir.iterdir())) == ({201, 204}, [], [])


def test_one_key_from_ten_clients_at_once_makes_one_file(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        batch = tus.batch("One")

    def life(size_bytes: int) -> str:
        with TusClient(server) as client:
            content = CONTENT[:size_bytes]
            key = {"Idempotency-Key": f"key-{size_bytes}"}
            return client.create(size_bytes, content, batch_id=batch, headers=key).headers["Location"]

    with ThreadPoolExecutor(20) as pool:
        locations = set(pool.map(life, [2000, len(CONTENT)] * 10))
    with TusClient(server) as tus:
        assert (len(locations), tus.batch_body(batch)["total_files"], contradictions(server)) == (2, 2, [])


def test_two_servers_on_one_data_finish_and_cancel_without_contradiction(server: ServerProcess) -> None:
    outcomes = set()
    with ServerProcess(server.data_dir) as neighbour, ThreadPoolExecutor(2) as pool:
        with TusClient(server) as here, TusClient(neighbour) as there:
            for number in range(40):
                location = here.created(2000, filename=f"race-{number}")
                finishing = pool.submit(here.patch, location, 0, bytes(2000))
                cancelled = there.cancel_file(location).status_code
                outcomes.add((finishing.result().status_code, cancelled, there.file_body(location)["status"]))
        neighbour.stop()
    assert outcomes <= {(204, 400, "stored"), (410, 200, "cancelled")}
    assert contradictions(server) == []


def test_a_person_may_clear_the_folder_of_files_while_the_server_runs(server: ServerProcess) -> None:
    shutil.rmtree(server.files_dir)
    with TusClient(server) as tus:
        location = tus.created(5, b"hello", filename="f", relative_path="a/f")
        gone = tus.file_body(location)["stored_path"]
        shutil.rmtree(server.files_dir)
        deleted = tus.http.delete(f"/api/v1{location}").status_code
    assert (gone, deleted) == ("a/f", 204)
