"""PEP 0015: batches, their counters and their cancel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.support.doorito_client import Doorito, HeldPart, parts_on_disk
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


def test_batch_detail_shows_total_files_stored_count_and_failed_count(client: Doorito) -> None:
    batch = client.batch(name="Detail")
    body = client.batch_body(batch)
    names = ("batch_id", "name", "status", "total_files", "stored_count", "failed_count", "cancelled_count")
    assert [body[name] for name in names] == [batch, "Detail", "init", 0, 0, 0, 0]


def test_three_of_five_finalized_is_a_stored_count_of_3(client: Doorito) -> None:
    batch = client.batch()
    sessions = [client.uploaded(b"abc", 2, batch_id=batch) for _ in range(5)]
    for session in sessions[:3]:
        client.finalize(session)
    assert (client.counts(batch), client.batch_body(batch)["status"]) == ((5, 3, 0, 0), "in_progress")


def test_counters_are_accurate_under_concurrent_finalizations(client: Doorito, server: ServerProcess) -> None:
    batch = client.batch()
    sessions = [client.uploaded(b"%d" % number, 10, batch_id=batch) for number in range(50)]

    def end(session: str) -> int:
        with Doorito(server, server.token) as one:
            return one.finalize(session).status_code

    with ThreadPoolExecutor(50) as pool:
        seen = list(pool.map(end, sessions))
    body = client.batch_body(batch)
    assert (seen, client.counts(batch), body["status"], body["progress_percentage"]) == (
        [200] * 50,
        (50, 50, 0, 0),
        "complete",
        100.0,
    )


def test_counters_add_up_when_fifty_finalize_and_cancel_the_same_batch(
    client: Doorito, server: ServerProcess
) -> None:
    batch = client.batch(name="Crowd")
    sessions = [client.uploaded(b"x" * 400_000, 200_000, batch_id=batch) for _ in range(50)]

    def live(number: int) -> str:
        with Doorito(server, server.token) as one:
            if number == 25:
                return f"batch {one.http.post(f'/batches/{batch}/cancel').status_code}"
            if number % 5 == 0:
                return f"cancel {one.cancel(sessions[number]).status_code}"
            return f"finalize {one.finalize(sessions[number]).status_code}"

    with ThreadPoolExecutor(50) as pool:
        seen = list(pool.map(live, range(50)))
    total, stored, failed, cancelled = client.counts(batch)
    folder = server.files_dir / "Crowd"
    assert (total, stored + cancelled, failed, stored) == (50, 50, 0, seen.count("finalize 200"))
    assert len(list(folder.iterdir()) if folder.exists() else []) == stored
    mine = [one for one in parts_on_disk(server.data_dir) if one.split("/")[0] in sessions]
    assert (set(seen) - {"finalize 200", "finalize 409", "cancel 200", "cancel 409", "batch 200"}, mine) == (
        set(),
        [],
    )


def test_batch_listing_returns_the_right_files_with_their_statuses(client: Doorito) -> None:
    batch = client.batch()
    stored = client.uploaded(b"abc", 2, batch_id=batch, name="stored")
    client.finalize(stored)
    client.cancel(client.session(5, batch_id=batch, name="cancelled"))
    client.put(client.session(5, 1, batch_id=batch, name="begun"), 1, b"x")
    client.session(5, batch_id=batch, name="new")
    client.session(5, name="of no batch")
    body = client.http.get(f"/batches/{batch}/files").json()
    assert [(one["original_filename"], one["status"]) for one in body["files"]] == [
        ("stored", "stored"),
        ("cancelled", "cancelled"),
        ("begun", "uploading"),
        ("new", "uploading"),
    ]
    assert (body["total"], body["files"][0]["session_id"]) == (4, stored)


def test_the_listing_has_pages(client: Doorito) -> None:
    batch = client.batch()
    for number in range(5):
        client.session(1, batch_id=batch, name=str(number))
    body = client.http.get(f"/batches/{batch}/files", params={"limit": 2, "offset": 3}).json()
    assert ([one["original_filename"] for one in body["files"]], body["total"]) == (["3", "4"], 5)
    assert client.http.get(f"/batches/{batch}/files", params={"limit": 1001}).status_code == 400


def test_single_files_work_without_a_batch(client: Doorito) -> None:
    stored = client.finalize(client.uploaded(b"alone", 10)).json()["file"]
    assert (stored["batch_id"], stored["status"]) == (None, "stored")


def test_the_same_idempotency_key_is_the_same_batch(client: Doorito) -> None:
    key = uuid4().hex
    answers = [client.http.post("/batches", json={"idempotency_key": key}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()


def test_cancel_of_a_batch_stops_what_runs_and_keeps_what_is_stored(client: Doorito) -> None:
    batch = client.batch()
    client.finalize(client.uploaded(b"abc", 2, batch_id=batch))
    begun = client.uploaded(b"abcd", 2, batch_id=batch)
    running = client.session(20, 20, batch_id=batch)
    with HeldPart(client, running, 1, b"x" * 10, b"y" * 10) as held:
        eventually(lambda: arriving(client, running), bool)
        answer = client.http.post(f"/batches/{batch}/cancel")
        left = [one for one in parts_on_disk(client.server.data_dir) if one.split("/")[0] in (begun, running)]
        ended = held.answer()  # before the rest of its body was sent
    body = answer.json()
    assert (answer.status_code, body["status"], body["cancelled_files_count"], left) == (
        200,
        "cancelled",
        2,
        [],
    )
    assert ended == 409
    assert [client.status(one)["status"] for one in (begun, running)] == ["aborted"] * 2
    assert (client.counts(batch), client.batch_body(batch)["status"]) == ((3, 1, 0, 2), "cancelled")


def arriving(client: Doorito, session: str) -> list[str]:
    return [one for one in parts_on_disk(client.server.data_dir) if one.startswith(session + "/")]


def test_a_second_cancel_of_a_batch_is_409_and_a_cancelled_batch_takes_no_files(client: Doorito) -> None:
    batch = client.batch()
    client.session(5, batch_id=batch)
    answers = [client.http.post(f"/batches/{batch}/cancel") for _ in range(2)]
    late = client.create(5, batch_id=batch)
    assert [one.status_code for one in answers] == [200, 409]
    assert (answers[1].json()["status"], late.status_code, late.json()["code"]) == (
        "cancelled",
        409,
        "batch_cancelled",
    )


def test_a_batch_that_is_complete_cannot_be_cancelled(client: Doorito) -> None:
    batch = client.batch()
    client.finalize(client.uploaded(b"abc", 2, batch_id=batch))
    answer = client.http.post(f"/batches/{batch}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (409, "complete")


@pytest.mark.parametrize("path", ["", "/files"])
def test_an_unknown_batch_is_404(client: Doorito, path: str) -> None:
    answers = [client.http.get(f"/batches/x{path}"), client.http.post("/batches/x/cancel")]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(404, "batch_not_found")] * 2
