"""Cancel: it wins or loses against completion as a whole, ends what runs at once and leaves no bytes."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.tus import OpenPatch, TusClient, file_id
from tests.support.waiting import eventually


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_cancelled_file_is_cancelled_as_the_contract_says(tus: TusClient) -> None:
    location = tus.created(10, filename="example.pdf")
    tus.patch(location, 0, b"12345")
    answer = tus.cancel_file(location)
    body = tus.file_body(location)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "message": "Upload cancelled successfully",
            "file_id": file_id(location),
            "filename": "example.pdf",
            "cancelled_at": body["cancelled_at"],
        },
    )
    assert (body["status"], body["cancelled_by"]) == ("cancelled", "local")
    assert not (tus.server.partials_dir / file_id(location)).exists()


def test_a_cancelled_batch_is_cancelled_as_the_contract_says(tus: TusClient) -> None:
    batch = tus.batch("Cancelled")
    finished = tus.created(1, b"x", batch_id=batch)
    partial = tus.created(10, batch_id=batch)
    tus.patch(partial, 0, b"12345")
    tus.created(10, batch_id=batch)
    answer = tus.cancel_batch(batch)
    body = tus.batch_body(batch)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "message": "Batch upload cancelled successfully",
            "batch_id": batch,
            "cancelled_files_count": 2,
            "finished_files_count": 1,
            "total_files_in_batch": 3,
            "finished_file_ids": [file_id(finished)],
            "cancelled_at": body["cancelled_at"],
        },
    )
    assert (body["status"], body["cancelled_count"], body["progress_percentage"]) == ("cancelled", 2, 100.0)
    assert tus.files(batch, status="cancelled")["total"] == 2
    assert not (tus.server.partials_dir / file_id(partial)).exists()


def test_what_is_over_is_not_cancellable_and_says_how_it_stands(tus: TusClient) -> None:
    batch = tus.batch("Over")
    stored = tus.created(1, b"x", batch_id=batch)
    cancelled = tus.created(1)
    tus.cancel_file(cancelled)
    answers = [tus.cancel_file(stored), tus.cancel_file(cancelled), tus.cancel_batch(batch)]
    assert [(*code(answer), answer.json()["status"]) for answer in answers] == [
        (400, "not_cancellable", "stored"),
        (400, "not_cancellable", "cancelled"),
        (400, "not_cancellable", "completed"),
    ]


def test_a_cancelled_batch_takes_no_more_files(tus: TusClient) -> None:
    batch = tus.batch("Closed")
    tus.cancel_batch(batch)
    answers = [
        tus.create(1, b"x", batch_id=batch),
        tus.create(1, batch_id=batch),
        tus.create(0, batch_id=batch),
    ]
    assert [code(answer) for answer in answers] == [(409, "batch_cancelled")] * 3
    assert code(tus.cancel_batch(batch)) == (400, "not_cancellable")


def test_a_running_patch_of_a_cancelled_file_ends_with_410_at_once(tus: TusClient) -> None:
    location = tus.created(10_000_000, filename="running.bin")
    with OpenPatch(tus.server, location, 0, 10_000_000) as patch:
        patch.send(bytes(2_500_000))
        eventually(lambda: tus.file_body(location)["offset"], lambda offset: offset > 0)
        answer = tus.cancel_file(location)
        assert not (tus.server.partials_dir / file_id(location)).exists()
        status, headers = patch.answer()
        assert (answer.status_code, status, headers["connection"]) == (200, 410, "close")
        assert patch.is_closed_by_server()
    assert tus.head(location).status_code == 410


def test_running_patches_of_a_cancelled_batch_end_with_410(tus: TusClient) -> None:
    batch = tus.batch("Running")
    locations = [tus.created(1_000_000, batch_id=batch) for _ in range(8)]
    patches = [OpenPatch(tus.server, location, 0, 1_000_000) for location in locations]
    for patch in patches:
        patch.send(bytes(100_000))
    eventually(lambda: tus.files(batch, status="uploading")["total"], lambda total: total == 8)
    answer = tus.cancel_batch(batch)
    left = [path.name for path in tus.server.partials_dir.iterdir() if path.name in map(file_id, locations)]
    statuses = [patch.answer()[0] for patch in patches]
    for patch in patches:
        patch.cut()
    assert (answer.json()["cancelled_files_count"], left, statuses) == (8, [], [410] * 8)


def test_a_cancel_from_another_server_process_ends_a_running_patch(tus: TusClient) -> None:
    location = tus.created(10_000_000, filename="elsewhere.bin")
    with (
        ServerProcess(tus.server.data_dir, token="other") as other,
        TusClient(other) as neighbour,
        OpenPatch(tus.server, location, 0, 10_000_000) as patch,
    ):
        patch.send(bytes(2_500_000))
        eventually(lambda: tus.file_body(location)["offset"], lambda offset: offset > 0)
        assert code(neighbour.patch(location, tus.offset(location), b"x")) == (423, "locked")
        cancelled = neighbour.cancel_file(location).status_code
        left = (tus.server.partials_dir / file_id(location)).exists()
        assert (cancelled, left, patch.answer()[0]) == (200, False, 410)


def test_a_batch_of_ten_thousand_files_is_cancelled_at_once(tus: TusClient) -> None:
    batch = tus.batch("Ten thousand")
    with sqlite3.connect(tus.server.database_path, timeout=10) as database:
        database.executemany(
            "INSERT INTO files (id, owner, batch_id, filename, relative_path, status, size_bytes, created_at)"
            " VALUES (?, 'local', ?, 'f', 'f', 'pending', 1, '2026-01-01T00:00:00.000Z')",
            [(f"{batch}-{number}", batch) for number in range(10_000)],
        )
        database.execute("UPDATE batches SET total_files = 10000, total_bytes = 10000 WHERE id = ?", (batch,))
    database.close()
    answer = tus.cancel_batch(batch).json()
    body = tus.batch_body(batch)
    assert (answer["cancelled_files_count"], body["cancelled_count"]) == (10_000, 10_000)


@pytest.mark.parametrize("small", [True, False])
def test_cancel_against_completion_has_one_winner(tus: TusClient, small: bool) -> None:
    """Whoever wins, the answer, the database and the disk agree; nothing is left of what lost."""
    outcomes = set()
    with ThreadPoolExecutor(2) as pool:
        for number in range(60):
            location = tus.created(2000, filename=f"race-{small}-{number}.bin")
            if not small:
                tus.patch(location, 0, bytes(1000))
            start = 0 if small else 1000
            finishing = pool.submit(tus.patch, location, start, bytes(2000 - start))
            time.sleep((number % 12) * 0.0003)  # spreads the cancel over the time a completion takes
            cancelled = tus.cancel_file(location)
            finished = finishing.result()
            body = tus.file_body(location)
            on_disk = (tus.server.files_dir / f"race-{small}-{number}.bin").exists()
            partial = (tus.server.partials_dir / file_id(location)).exists()
            outcomes.add((finished.status_code, cancelled.status_code, body["status"], on_disk, partial))
    assert outcomes <= {(204, 400, "stored", True, False), (410, 200, "cancelled", False, False)}


def test_fifty_finishers_and_cancels_of_one_batch_add_up(server: ServerProcess, tus: TusClient) -> None:
    batch = tus.batch("Fifty")
    with ThreadPoolExecutor(50) as pool:

        def life(number: int) -> int:
            with TusClient(server) as client:
                if number % 5 == 0:
                    return client.create(9, b"finished?", batch_id=batch, sha256="0" * 64).status_code
                if number % 5 == 1:
                    return client.create(9, b"finished!", batch_id=batch).status_code
                location = client.created(9, batch_id=batch)
                if number % 5 == 2:
                    return client.cancel_file(location).status_code
                client.patch(location, 0, b"fini")
                return client.patch(location, 4, b"shed!").status_code

        statuses = sorted(pool.map(life, range(50)))
    body = tus.batch_body(batch)
    assert statuses == [200] * 10 + [201] * 10 + [204] * 20 + [460] * 10
    assert {
        name: body[name] for name in ("total_files", "stored_count", "failed_count", "cancelled_count")
    } == {
        "total_files": 50,
        "stored_count": 30,
        "failed_count": 10,
        "cancelled_count": 10,
    }
    assert (body["stored_bytes"], body["status"]) == (270, "partial")


def test_fifty_finishers_against_a_cancel_of_their_batch_add_up(
    server: ServerProcess, tus: TusClient
) -> None:
    batch = tus.batch("Storm")
    tus.created(
        1, filename="waits", batch_id=batch
    )  # or the batch could be over for a moment, and not cancellable

    def life(number: int) -> int:
        with TusClient(server) as client:
            answer = client.create(2000, filename=f"{number}", batch_id=batch)
            if answer.status_code != 201:
                return answer.status_code
            return client.patch(answer.headers["Location"], 0, bytes(2000)).status_code

    with ThreadPoolExecutor(50) as pool:
        lives = [pool.submit(life, number) for number in range(50)]
        eventually(lambda: tus.batch_body(batch)["stored_count"], lambda stored: stored >= 5)
        answer = tus.cancel_batch(batch).json()
        statuses = [one.result() for one in lives]
    body = tus.batch_body(batch)
    on_disk = sum(1 for _ in (server.files_dir / body["folder"]).iterdir())
    assert body["stored_count"] == answer["finished_files_count"] == statuses.count(204) == on_disk
    assert body["cancelled_count"] == answer["cancelled_files_count"] == statuses.count(410) + 1
    assert body["total_files"] == body["stored_count"] + body["cancelled_count"] == 51 - statuses.count(409)


def test_finishers_of_one_name_never_share_a_file(server: ServerProcess, tus: TusClient) -> None:
    batch = tus.batch("Same name")

    def life(number: int) -> str:
        with TusClient(server) as client:
            content = f"{number:04}".encode()
            return client.create(4, content, filename="same", batch_id=batch).headers["Upload-Stored-Path"]

    with ThreadPoolExecutor(20) as pool:
        paths = list(pool.map(life, range(40)))
    contents = sorted(path.read_text() for path in (server.files_dir / "Same name").iterdir())
    assert (len(set(paths)), contents) == (40, [f"{number:04}" for number in range(40)])


def test_every_cancel_is_a_line_in_the_audit_log(tus: TusClient) -> None:
    location, batch = tus.created(1), tus.batch("Audited")
    tus.cancel_file(location)
    tus.cancel_batch(batch)
    told = (
        f"event=file_cancelled file_id={file_id(location)}",
        f"event=batch_cancelled batch_id={batch}",
    )

    def audited() -> list[bool]:
        lines = [line for line in tus.server.log.splitlines() if "logger=uphaul.audit" in line]
        return [any(event in line and "request=-" not in line for line in lines) for event in told]

    found = eventually(audited, all)  # the log comes through a pipe
    assert (found, tus.server.token in tus.server.log) == ([True, True], False)
