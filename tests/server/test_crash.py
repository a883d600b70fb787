"""A server that is killed, stopped or restarted loses nothing it had, counts nothing twice and leaves no rubbish."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.tus import OpenPatch, TusClient, file_id, metadata
from tests.support.waiting import eventually

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that a test may kill."""
    with ServerProcess(tmp_path) as running:
        yield running


def execute(server: ServerProcess, statement: str, *values: object) -> None:
    database = sqlite3.connect(server.database_path, timeout=10)
    with database:
        database.execute(statement, values)
    database.close()


def test_an_upload_goes_on_after_kill_9_in_the_middle_of_a_patch(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        batch = tus.batch("Killed")
        location = tus.created(len(CONTENT), filename="killed.bin", batch_id=batch)
        with OpenPatch(server, location, 0, len(CONTENT)) as patch:
            patch.send(CONTENT[:2_000_000])
            eventually(lambda: tus.file_body(location)["offset"], lambda offset: offset == 2_000_000)
            server.kill()
    server.restart()
    with TusClient(server) as tus:
        offset = tus.offset(location)
        finished = tus.patch(location, offset, CONTENT[offset:])
        body = tus.batch_body(batch)
    assert (offset, finished.headers["Upload-SHA256"]) == (2_000_000, hashlib.sha256(CONTENT).hexdigest())
    assert (body["total_files"], body["stored_count"], body["stored_bytes"]) == (1, 1, len(CONTENT))
    assert (server.files_dir / "Killed/killed.bin").read_bytes() == CONTENT


def test_an_upload_goes_on_after_a_clean_stop(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        location = tus.created(len(CONTENT), filename="stopped.bin")
        with OpenPatch(server, location, 0, len(CONTENT)) as patch:
            patch.send(CONTENT[:1_500_000])
            eventually(lambda: tus.file_body(location)["offset"], lambda offset: offset == 1_500_000)
            code = server.terminate()
            status, _ = patch.answer()
    server.restart()
    with TusClient(server) as tus:
        assert (code, status, tus.offset(location)) == (0, 503, 1_500_000)


def test_bodies_that_do_not_come_hold_up_no_stop_and_no_log(server: ServerProcess) -> None:
    headers = {"Upload-Length": "10", "Upload-Metadata": metadata(filename="small")}
    with TusClient(server) as tus, OpenPatch(server, "/files", 0, 10, method="POST", **headers) as small:
        location = tus.created(len(CONTENT), filename="large.bin")
        with OpenPatch(server, location, 0, len(CONTENT)) as large:
            small.send(b"12345")
            large.send(CONTENT[:100_000])
            eventually(lambda: tus.file_body(location)["offset"], lambda offset: offset == 100_000)
            code = server.terminate()
    assert (code, [line for line in server.log.splitlines() if "level=INFO" not in line]) == (0, [])


def test_a_file_whose_last_byte_arrived_before_the_kill_is_finished_by_the_next_head(
    server: ServerProcess,
) -> None:
    with TusClient(server) as tus:
        location = tus.created(len(CONTENT), filename="late.bin")
        tus.patch(location, 0, CONTENT[:1_000_000])
        server.kill()
        with open(server.partials_dir / file_id(location), "ab") as partial:
            partial.write(CONTENT[1_000_000:])
    server.restart()
    with TusClient(server) as tus:
        head = tus.head(location)
        assert (head.headers["Upload-SHA256"], tus.file_body(location)["status"]) == (
            hashlib.sha256(CONTENT).hexdigest(),
            "stored",
        )


def test_the_same_key_finishes_it_as_well(server: ServerProcess) -> None:
    key = {"Idempotency-Key": "late"}
    with TusClient(server) as tus:
        location = tus.create(len(CONTENT), filename="late.bin", headers=key).headers["Location"]
        server.kill()
        (server.partials_dir / file_id(location)).write_bytes(CONTENT)
    server.restart()
    with TusClient(server) as tus:
        again = tus.create(len(CONTENT), filename="late.bin", headers=key)
        seen = again.status_code, again.headers["Location"], again.headers["Upload-SHA256"]
    assert seen == (200, location, hashlib.sha256(CONTENT).hexdigest())


def crashed_between_name_and_commit(server: ServerProcess) -> str:
    """Make what is left when the process dies after the file got its name and before the database knew."""
    with TusClient(server) as tus:
        location = tus.created(len(CONTENT), filename="named.bin")
        tus.patch(location, 0, CONTENT[:1_000_000])
        server.kill()
    partial = server.partials_dir / file_id(location)
    with open(partial, "ab") as rest:
        rest.write(CONTENT[1_000_000:])
    os.link(partial, server.files_dir / "named.bin")
    server.restart()
    return location


def test_a_name_given_before_a_kill_is_found_again(server: ServerProcess) -> None:
    location = crashed_between_name_and_commit(server)
    with TusClient(server) as tus:
        stored = tus.head(location).headers["Upload-Stored-Path"]
    assert (stored, [path.name for path in server.files_dir.iterdir()]) == ("named.bin", ["named.bin"])


def test_a_name_given_before_a_kill_goes_with_the_cancel(server: ServerProcess) -> None:
    location = crashed_between_name_and_commit(server)
    with TusClient(server) as tus:
        status = tus.cancel_file(location).status_code
    left = [*server.files_dir.iterdir(), *server.partials_dir.iterdir()]
    assert (status, left) == (200, [])


def test_an_upload_that_is_never_finished_expires_as_failed(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        batch = tus.batch("Expired")
        location = tus.created(len(CONTENT), filename="expired.bin", batch_id=batch)
        tus.patch(location, 0, CONTENT[:1000])
        kept = tus.created(10, filename="kept.bin", batch_id=batch)
        server.kill()
    execute(
        server, "UPDATE files SET expires_at = '2000-01-01T00:00:00.000Z' WHERE id = ?", file_id(location)
    )
    server.restart()
    with TusClient(server) as tus:
        file, found, gone = tus.file_body(location), tus.batch_body(batch), tus.patch(location, 1000, b"x")
        still = tus.file_body(kept)["status"]
    assert (file["status"], file["error_message"]) == (
        "failed",
        "The upload was not finished in time and has expired.",
    )
    assert (gone.status_code, found["failed_count"], still) == (410, 1, "pending")
    assert not (server.partials_dir / file_id(location)).exists()


def test_partials_nobody_will_ask_for_are_swept_and_needed_ones_are_not(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        location = tus.created(10, filename="needed.bin")
        tus.patch(location, 0, b"12345")
    server.kill()
    orphan, written, needed = (
        server.partials_dir / name for name in ("orphan", "written", file_id(location))
    )
    orphan.write_bytes(b"x")
    with open(written, "wb") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)  # another server on the same data is at work on it
        server.restart()
        assert [path.exists() for path in (orphan, written, needed)] == [False, True, True]


def test_a_small_file_named_but_never_committed_is_taken_back(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        stored = tus.created(5, b"hello", filename="kept.txt", relative_path="deep/kept.txt")
    server.kill()
    for name, path in (("never-committed", "deep/lost.txt"), (file_id(stored), "deep/kept.txt")):
        (server.files_dir / path).touch()
        os.link(server.files_dir / path, server.partials_dir / name)
    server.restart()
    left = [path.name for path in [*(server.files_dir / "deep").iterdir(), *server.partials_dir.iterdir()]]
    assert left == ["kept.txt"]


def test_two_servers_may_start_on_empty_data_at_the_same_moment(tmp_path: Path) -> None:
    data = tmp_path / "shared"
    one, two = ServerProcess(data), ServerProcess(data)
    with one, two, TusClient(one) as first, TusClient(two) as second:
        batch = first.batch("Shared")
        second.created(1, b"x", batch_id=batch)
        assert first.batch_body(batch)["stored_count"] == 1


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_server_cleanly(server: ServerProcess, signal_name: str) -> None:
    os.kill(server.pid, getattr(signal, signal_name))
    assert (server.wait(), "Traceback" in server.log) == (0, False)


def test_the_database_is_whole_after_many_kills(server: ServerProcess) -> None:
    with TusClient(server) as tus:
        batch = tus.batch("Many")
    for round_number in range(5):
        with TusClient(server) as tus:
            for number in range(10):
                tus.create(4, b"abcd", filename=f"{round_number}-{number}", batch_id=batch)
            server.kill()
        server.restart()
    with TusClient(server) as tus:
        body = tus.batch_body(batch)
    on_disk = len(list((server.files_dir / "Many").iterdir()))
    assert (body["total_files"], body["stored_count"], on_disk) == (50, 50, 50)
    assert httpx.get(server.url + "/healthz").json()["status"] == "ok"
