"""Batches of vuemantics: their counters, and the cancel that truly stops what arrives and what is processed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.vuemantics_client import SlowBulk, VuemanticsClient, picture, pictures
from tests.support.waiting import eventually

COUNTERS = ("total_uploads", "processed_uploads", "successful_uploads", "failed_uploads", "cancelled_uploads")


def counters(batch: dict[str, int]) -> tuple[int, ...]:
    return tuple(batch[name] for name in COUNTERS)


def test_a_batch_is_shown_as_the_contract_says(client: VuemanticsClient) -> None:
    batch = client.over(client.bulk(pictures(2)).json()["batch_id"])
    assert sorted(batch) == sorted(
        "batch_id status total_uploads processed_uploads successful_uploads failed_uploads cancelled_uploads "
        "progress_percentage is_complete created_at started_at completed_at error_message".split()
    )
    assert (batch["status"], *counters(batch), batch["progress_percentage"], batch["error_message"]) == (
        "completed",
        *(2, 2, 2, 0, 0),
        100.0,
        None,
    )
    assert batch["created_at"] <= batch["started_at"] <= batch["completed_at"]


def test_a_batch_in_which_files_failed_says_so(client: VuemanticsClient) -> None:
    body = client.bulk([*pictures(2), ("no.png", b"no", "image/png"), ("a.txt", b"x", "text/plain")]).json()
    batch = client.over(body["batch_id"])
    assert (batch["status"], *counters(batch), batch["progress_percentage"], batch["error_message"]) == (
        "completed",
        *(3, 3, 2, 1, 0),
        100.0,
        "1 of 3 files failed. 1 file was refused when sent.",
    )


def test_a_batch_in_which_all_failed_has_failed(client: VuemanticsClient) -> None:
    processed = client.over(client.bulk([("no.png", b"no", "image/png")]).json()["batch_id"])
    refused = client.over(client.bulk([("a.txt", b"x", "text/plain")]).json()["batch_id"])
    assert [(one["status"], *counters(one), one["error_message"]) for one in (processed, refused)] == [
        ("failed", 1, 1, 0, 1, 0, "1 of 1 file failed."),
        ("failed", 0, 0, 0, 0, 0, "1 file was refused when sent."),
    ]


def test_batches_are_listed_the_newest_first_by_page(client: VuemanticsClient) -> None:
    ids = [client.bulk(pictures(1)).json()["batch_id"] for _ in range(3)]
    pages = [
        client.http.get("/v1/uploads/batches", params={"limit": 2, "offset": offset}).json()
        for offset in (0, 2)
    ]
    assert [[one["batch_id"] for one in page] for page in pages] == [[ids[2], ids[1]], [ids[0]]]
    wrong = [{"limit": 0}, {"limit": 101}, {"offset": -1}]
    answers = [client.http.get("/v1/uploads/batches", params=one) for one in wrong]
    assert [(one.status_code, one.json()) for one in answers] == [
        (422, {"detail": "Limit must be between 1 and 100", "type": "ValidationError"}),
        (422, {"detail": "Limit must be between 1 and 100", "type": "ValidationError"}),
        (422, {"detail": "Offset must be non-negative", "type": "ValidationError"}),
    ]


def test_the_same_answers_below_api(client: VuemanticsClient) -> None:
    batch_id = client.bulk(pictures(1)).json()["batch_id"]
    client.over(batch_id)
    path = f"/v1/uploads/batches/{batch_id}"
    assert client.http.get(path).json() == client.http.get(f"/api{path}").json()
    assert client.http.post(f"/api{path}/cancel").status_code == 409


def test_a_batch_that_is_processed_stops_at_once(patient: VuemanticsClient, held: ServerProcess) -> None:
    body = patient.bulk(pictures(5)).json()
    batch_id = body["batch_id"]
    eventually(lambda: patient.batch(batch_id)["status"], lambda status: status == "processing")
    answer = patient.cancel(batch_id)
    cancelled = patient.batch(batch_id)
    (held.data_dir / "hold").unlink()
    other = patient.over(patient.bulk(pictures(2)).json()["batch_id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert (cancelled["status"], *counters(cancelled), cancelled["is_complete"]) == (
        "cancelled",
        *(5, 0, 0, 0, 5),
        True,
    )
    assert other["status"] == "completed"  # and still nothing of the first one was processed
    assert patient.batch(batch_id) == cancelled
    shown = patient.upload(body["upload_ids"][0])
    assert (shown["processing_status"], shown["error_message"]) == (
        "failed",
        "Cancelled before it was processed; the file is stored.",
    )


def test_a_cancel_is_refused_when_the_batch_is_over(client: VuemanticsClient) -> None:
    done = client.bulk(pictures(1)).json()["batch_id"]
    client.over(done)
    empty = client.bulk([("a.txt", b"x", "text/plain")]).json()["batch_id"]
    answers = [client.cancel(done), client.cancel(empty)]
    assert [(one.status_code, one.json()) for one in answers] == [
        (409, {"detail": "Batch is already completed", "type": "ConflictError", "status": "completed"}),
        (409, {"detail": "Batch is already failed", "type": "ConflictError", "status": "failed"}),
    ]
    assert client.batch(done)["status"] == "completed"


def test_a_second_cancel_and_a_wrong_id_are_told_apart(patient: VuemanticsClient) -> None:
    batch_id = patient.bulk(pictures(1)).json()["batch_id"]
    answers = [patient.cancel(batch_id), patient.cancel(batch_id), patient.cancel(str(uuid4()))]
    assert [one.status_code for one in answers] == [204, 409, 404]
    assert answers[2].json() == {"detail": "Batch not found", "type": "NotFoundError"}
    assert patient.cancel("no-uuid").json()["detail"][0]["loc"] == ["path", "batch_id"]
    assert patient.http.get(f"/v1/uploads/batches/{batch_id}/cancel").status_code == 405


def in_a_small_file(bulk: SlowBulk) -> None:
    bulk.head("second.png")
    bulk.send(b"x" * 1000)


def in_a_large_file(bulk: SlowBulk) -> None:
    bulk.head("second.png")
    bulk.send(b"x" * 3_000_000)


def between_two_files(bulk: SlowBulk) -> None:
    bulk.gap()


@pytest.mark.parametrize("where", [in_a_small_file, in_a_large_file, between_two_files])
def test_a_cancel_reaches_a_post_that_is_still_sending(
    client: VuemanticsClient, where: Callable[[SlowBulk], None]
) -> None:
    with SlowBulk(client) as bulk:
        bulk.file("first.png", picture(1))
        where(bulk)
        batch_id = eventually(client.batches, lambda found: len(found) == 1)[0]["batch_id"]
        wanted = 2 if where is in_a_large_file else 1
        eventually(lambda: client.uploads()["total"], lambda total: total == wanted)
        eventually(lambda: client.batch(batch_id), lambda batch: batch["successful_uploads"] == 1)
        assert client.cancel(batch_id).status_code == 204
        assert list(client.server.partials_dir.iterdir()) == []
        bulk.send(
            b"\r\n" if where is not between_two_files else b"Content-Disposition: form-data; name=x\r\n\r\n"
        )
        bulk.file("third.png", picture(3))
        answer = bulk.end()
    body = answer.json()
    assert (answer.status_code, body["detail"], body["type"]) == (409, "Batch was cancelled", "ConflictError")
    assert (body["batch_id"], len(body["upload_ids"])) == (batch_id, 1)
    batch = client.batch(batch_id)
    assert (batch["status"], batch["successful_uploads"], batch["processed_uploads"]) == ("cancelled", 1, 1)
    assert client.upload(body["upload_ids"][0])["processing_status"] == "completed"


def test_a_batch_is_not_complete_while_its_post_is_sending(client: VuemanticsClient) -> None:
    with SlowBulk(client) as bulk:
        bulk.file("first.png", picture(1))
        bulk.gap()
        batch_id = eventually(client.batches, lambda found: len(found) == 1)[0]["batch_id"]
        sending = eventually(lambda: client.batch(batch_id), lambda batch: batch["successful_uploads"] == 1)
        bulk.send(
            b'Content-Disposition: form-data; name="files"; filename="b.png"\r\nContent-Type: image/png\r\n\r\n'
        )
        bulk.send(picture(2))
        answer = bulk.end()
    batch = client.over(batch_id)
    assert (sending["status"], sending["is_complete"], sending["total_uploads"]) == ("processing", False, 1)
    assert (answer.status_code, answer.json()["queued"], *counters(batch)) == (201, 2, 2, 2, 2, 0, 0)


def test_many_cancels_at_once_have_one_winner_and_the_counters_add_up(client: VuemanticsClient) -> None:
    batch_id = client.bulk(pictures(60)).json()["batch_id"]
    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(lambda _: client.cancel(batch_id).status_code, range(10)))
    total, processed, good, bad, cancelled = counters(client.batch(batch_id))
    assert statuses == [204] + [409] * 9
    assert (total, good + bad, processed + cancelled) == (60, processed, 60)


def test_a_killed_server_goes_on_and_counts_nothing_twice(
    patient: VuemanticsClient, held: ServerProcess
) -> None:
    body = patient.bulk([*pictures(6), ("no.png", b"no", "image/png")]).json()
    eventually(lambda: patient.batch(body["batch_id"])["status"], lambda status: status == "processing")
    held.kill()
    (held.data_dir / "hold").unlink()
    held.restart()
    batch = patient.over(body["batch_id"])
    assert (batch["status"], *counters(batch), batch["progress_percentage"]) == (
        "completed",
        *(7, 7, 6, 1, 0),
        100.0,
    )


def test_a_server_that_is_killed_while_files_arrive_keeps_those_that_had(
    patient: VuemanticsClient, held: ServerProcess
) -> None:
    (held.data_dir / "hold").unlink()
    bulk = SlowBulk(patient)
    with bulk:
        bulk.file("first.png", picture(1))
        bulk.head("second.png")
        bulk.send(b"x" * 400_000)
        eventually(lambda: patient.uploads()["total"], lambda total: total == 2)
        held.kill()
        with pytest.raises(httpx.HTTPError):
            bulk.end()
    held.restart()
    batch = patient.over(patient.batches()[0]["batch_id"])
    assert (batch["status"], *counters(batch)) == ("completed", 2, 2, 1, 1, 0)
    assert batch["error_message"] == (
        "The server stopped while the files arrived; those that had arrived are kept. 1 of 2 files failed."
    )
