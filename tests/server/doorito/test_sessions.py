"""PEP 0011 and 0013: sessions and how far they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.doorito_client import Doorito
from tests.support.server import ServerProcess

MIB = 1024 * 1024


def test_the_answer_has_session_id_chunk_size_bytes_and_total_parts(client: Doorito) -> None:
    answer = client.create(12 * MIB)
    body = answer.json()
    assert (answer.status_code, body["chunk_size_bytes"], body["total_parts"]) == (201, 5 * MIB, 3)
    assert client.status(body["session_id"])["session_id"] == body["session_id"]


@pytest.mark.parametrize(
    "size,chunk,parts", [(100, 10, 10), (101, 10, 11), (9, 10, 1), (10, 10, 1), (0, 10, 0)]
)
def test_total_parts_is_ceil_of_total_by_chunk(client: Doorito, size: int, chunk: int, parts: int) -> None:
    assert client.create(size, chunk_size_bytes=chunk).json()["total_parts"] == parts


def test_an_oversized_file_is_413(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-size", "1K") as server, Doorito(server, server.token) as client:
        seen = [client.create(size).status_code for size in (1024, 1025)]
    assert seen == [201, 413]


def test_a_duplicate_idempotency_key_is_the_same_session_and_200_not_201(client: Doorito) -> None:
    key = uuid4().hex
    batch = client.batch()
    answers = [client.create(10, idempotency_key=key, batch_id=batch) for _ in range(3)]
    assert [one.status_code for one in answers] == [201, 200, 200]
    assert [one.json()["session_id"] for one in answers] == [answers[0].json()["session_id"]] * 3
    assert client.counts(batch)[0] == 1


@pytest.mark.parametrize(
    "change", [{"total_size_bytes": 11}, {"original_filename": "other"}, {"batch_id": None}]
)
def test_an_idempotency_key_of_another_file_is_409(client: Doorito, change: dict[str, Any]) -> None:
    told = {"original_filename": "a", "total_size_bytes": 10, "batch_id": client.batch()}
    told["idempotency_key"] = uuid4().hex
    first = client.http.post("/uploads/sessions", json=told)
    second = client.http.post("/uploads/sessions", json=told | change)
    assert (first.status_code, second.status_code, second.json()["code"]) == (
        201,
        409,
        "idempotency_mismatch",
    )


def test_a_new_session_is_init_and_its_file_uploading(client: Doorito) -> None:
    batch = client.batch()
    session = client.session(10, batch_id=batch)
    listed = client.http.get(f"/batches/{batch}/files").json()["files"]
    assert (client.status(session)["status"], [one["status"] for one in listed]) == ("init", ["uploading"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"original_filename": "a"},
        {"original_filename": "a", "total_size_bytes": -1},
        {"original_filename": "a", "total_size_bytes": "many"},
        {"original_filename": "", "total_size_bytes": 1},
        {"original_filename": "x" * 256, "total_size_bytes": 1},
        {"original_filename": "a", "total_size_bytes": 100_000, "chunk_size_bytes": 1},
        {"original_filename": "a", "total_size_bytes": 1, "chunk_size_bytes": 0},
        [],
    ],
)
def test_a_malformed_session_is_400_with_a_sentence(client: Doorito, body: Any) -> None:
    answer = client.http.post("/uploads/sessions", json=body)
    assert (answer.status_code, answer.json()["code"], len(answer.json()["detail"]) > 10) == (
        400,
        "invalid_request",
        True,
    )


def test_half_a_unicode_character_in_a_name_is_400(client: Doorito) -> None:
    told = b'{"original_filename": "\\ud800", "total_size_bytes": 1}'
    answer = client.http.post("/uploads/sessions", content=told, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_status_has_status_total_parts_completed_parts_and_received_parts(client: Doorito) -> None:
    session = client.session(5, 1)
    for number in (1, 2, 5):
        client.put(session, number, b"x")
    body = client.status(session)
    names = ("session_id", "status", "total_parts", "completed_parts", "received_parts", "bytes_received")
    assert [body[name] for name in names] == [session, "in_progress", 5, 3, ["1-2", 5], 3]


def test_1000_and_more_parts_are_compact_ranges(client: Doorito) -> None:
    session = client.session(1100, 1)
    for number in range(1, 1101):
        if number not in (500, 1050):
            assert client.put(session, number, b"x").status_code == 200
    body = client.status(session)
    assert (body["completed_parts"], body["received_parts"]) == (1098, ["1-499", "501-1049", "1051-1100"])


def test_an_unknown_session_is_404(client: Doorito) -> None:
    answer = client.http.get(f"/uploads/sessions/{uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")


def test_an_unknown_batch_is_404(client: Doorito) -> None:
    assert client.create(1, batch_id=str(uuid4())).status_code == 404
