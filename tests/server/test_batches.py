"""Batches and files under /api/v1, over real HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.support.tus import TusClient, file_id


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_new_batch_is_pending_and_has_a_folder_of_its_own(tus: TusClient) -> None:
    answer = tus.http.post("/api/v1/batches", json={"name": "Holiday"})
    body = answer.json()
    body.pop("batch_id"), body.pop("created_at")
    assert (answer.status_code, body) == (
        201,
        {
            "name": "Holiday",
            "folder": "Holiday",
            "status": "pending",
            "total_files": 0,
            "stored_count": 0,
            "failed_count": 0,
            "cancelled_count": 0,
            "total_bytes": 0,
            "stored_bytes": 0,
            "progress_percentage": 0.0,
            "processing_total": 0,
            "processing_completed": 0,
            "processing_failed": 0,
            "processing_cancelled": 0,
            "started_at": None,
            "completed_at": None,
            "cancelled_at": None,
        },
    )


def test_times_are_iso_8601_with_z(tus: TusClient) -> None:
    batch = tus.batch("Times")
    tus.created(1, b"x", batch_id=batch)
    body = tus.batch_body(batch)
    times = [body[name] for name in ("created_at", "started_at", "completed_at")]
    assert [len(time) == 24 and time[10] == "T" and time.endswith("Z") for time in times] == [True] * 3


def test_two_batches_of_one_name_have_two_folders(tus: TusClient) -> None:
    folders = [tus.batch_body(tus.batch(name))["folder"] for name in ("Twice", "twice", "Twice")]
    assert folders == ["Twice", "twice (2)", "Twice (3)"]


@pytest.mark.parametrize(
    "name,folder", [("a/b", "a_b"), ("..", "Batch"), ("CON", "_CON"), ("x" * 500, "x" * 239), ("Ü\n!", "Ü_!")]
)
def test_a_batch_may_have_any_name_and_its_folder_is_safe(tus: TusClient, name: str, folder: str) -> None:
    body = tus.batch_body(tus.batch(name))
    assert (body["name"], body["folder"]) == (name, folder)


def test_a_batch_does_not_move_into_a_folder_that_is_there(tus: TusClient) -> None:
    (tus.server.files_dir / "Taken").mkdir()
    assert tus.batch_body(tus.batch("Taken"))["folder"] == "Taken (2)"


def test_the_same_idempotency_key_answers_with_the_same_batch(tus: TusClient) -> None:
    answers = [
        tus.http.post("/api/v1/batches", json={"name": "Key", "idempotency_key": "k1"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()


def test_files_of_a_batch_lie_in_its_folder(tus: TusClient) -> None:
    batch = tus.batch("Folder")
    location = tus.created(1, b"x", filename="f", relative_path="a/f", batch_id=batch)
    body = tus.file_body(location)
    assert (body["stored_path"], body["batch_id"]) == ("Folder/a/f", batch)
    assert (tus.server.files_dir / "Folder/a/f").read_bytes() == b"x"


def test_counters_follow_the_files(tus: TusClient) -> None:
    batch = tus.batch("Counted")
    tus.created(3, b"abc", batch_id=batch)
    tus.create(5, b"wrong", batch_id=batch, sha256="0" * 64)
    tus.cancel_file(tus.created(7, batch_id=batch))
    tus.created(11, batch_id=batch)
    body = tus.batch_body(batch)
    seen = {
        name: body[name]
        for name in body
        if name.endswith(("count", "bytes", "files", "percentage", "status"))
    }
    assert seen == {
        "status": "processing",
        "total_files": 4,
        "stored_count": 1,
        "failed_count": 1,
        "cancelled_count": 1,
        "total_bytes": 26,
        "stored_bytes": 3,
        "progress_percentage": 75.0,
    }


def test_a_batch_with_failures_is_partial_never_completed(tus: TusClient) -> None:
    batch = tus.batch("Partial")
    tus.created(3, b"abc", batch_id=batch)
    completed = tus.batch_body(batch)
    tus.create(5, b"wrong", batch_id=batch, sha256="0" * 64)
    partial = tus.batch_body(batch)
    assert [(one["status"], one["completed_at"] is not None) for one in (completed, partial)] == [
        ("completed", True),
        ("partial", True),
    ]


def test_files_are_listed_by_status_in_pages(tus: TusClient) -> None:
    batch = tus.batch("Listed")
    for number in range(5):
        tus.created(1, b"x", filename=f"{number}", batch_id=batch)
    tus.created(1, filename="waiting", batch_id=batch)
    page = tus.files(batch, status="stored", limit=2, offset=2)
    assert ([one["filename"] for one in page.pop("items")], page) == (
        ["2", "3"],
        {"total": 5, "limit": 2, "offset": 2},
    )


def test_batches_are_listed_newest_first(tus: TusClient) -> None:
    newest = [tus.batch(name) for name in ("older", "newer")]
    page = tus.http.get("/api/v1/batches", params={"limit": 2}).json()
    assert [one["batch_id"] for one in page["items"]] == newest[::-1]


def test_a_file_is_found_by_the_key_it_was_made_with(tus: TusClient) -> None:
    location = tus.create(1, b"x", headers={"Idempotency-Key": "lost-answer"}).headers["Location"]
    found = [
        [
            one["file_id"]
            for one in tus.http.get("/api/v1/files", params={"idempotency_key": key}).json()["items"]
        ]
        for key in ("lost-answer", "never-used")
    ]
    assert found == [[file_id(location)], []]


def test_a_file_shows_everything_about_itself(tus: TusClient) -> None:
    location = tus.created(10, filename="shown", relative_path="deep/shown")
    tus.patch(location, 0, b"1234")
    body = tus.file_body(location)
    body.pop("created_at")
    assert body == {
        "file_id": file_id(location),
        "filename": "shown",
        "relative_path": "deep/shown",
        "batch_id": None,
        "status": "uploading",
        "size_bytes": 10,
        "offset": 4,
        "sha256": None,
        "stored_path": None,
        "completed_at": None,
        "cancelled_at": None,
        "cancelled_by": None,
        "error_message": None,
        "processing": None,
    }


def test_a_stored_file_can_be_deleted_and_leaves_no_empty_folders(tus: TusClient) -> None:
    batch = tus.batch("Deleted")
    location = tus.created(1, b"x", filename="f", relative_path="a/b/f", batch_id=batch)
    deleted = tus.http.delete(f"/api/v1{location}")
    gone = tus.http.get(f"/api/v1{location}")
    body = tus.batch_body(batch)
    assert (deleted.status_code, code(gone)) == (204, (404, "file_not_found"))
    assert (body["total_files"], body["stored_count"], body["stored_bytes"], body["status"]) == (
        0,
        0,
        0,
        "pending",
    )
    assert not (tus.server.files_dir / "Deleted").exists()


def test_deleting_keeps_what_a_person_put_beside_it(tus: TusClient) -> None:
    location = tus.created(1, b"x", filename="f", relative_path="mine/f")
    (tus.server.files_dir / "mine/notes.txt").write_text("keep")
    tus.http.delete(f"/api/v1{location}")
    assert [path.name for path in (tus.server.files_dir / "mine").iterdir()] == ["notes.txt"]


def test_an_unfinished_file_cannot_be_deleted(tus: TusClient) -> None:
    location = tus.created(10, filename="unfinished")
    assert code(tus.http.delete(f"/api/v1{location}")) == (409, "not_stored")


def test_a_file_for_an_unknown_batch_is_404(tus: TusClient) -> None:
    assert code(tus.create(1, b"x", batch_id="nothing")) == (404, "batch_not_found")


@pytest.mark.parametrize(
    "method,path,expected",
    [
        ("GET", "/api/v1/batches/nothing", (404, "batch_not_found")),
        ("GET", "/api/v1/batches/nothing/files", (404, "batch_not_found")),
        ("POST", "/api/v1/batch/cancel/nothing", (404, "batch_not_found")),
        ("POST", "/api/v1/upload/cancel/nothing", (404, "file_not_found")),
        ("DELETE", "/api/v1/files/nothing", (404, "file_not_found")),
        ("GET", "/api/v1/batches?limit=0", (422, "validation_failed")),
        ("GET", "/nothing", (404, "not_found")),
    ],
)
def test_what_is_not_there_is_said_in_one_shape(
    tus: TusClient, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert code(tus.http.request(method, path)) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"name": ""}', b'{"name": 5}', b'{"name": "\\ud800"}', b'{"name": "\xff"}'],
)
def test_a_malformed_batch_is_422_or_400(tus: TusClient, content: bytes) -> None:
    answer = tus.http.post("/api/v1/batches", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code in {400, 422}, set(answer.json())) == (True, {"detail", "code"})


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_the_open_pages_need_no_token(tus: TusClient, path: str) -> None:
    assert httpx.get(tus.server.url + path).status_code == 200


@pytest.mark.parametrize(
    "method,path",
    [
        ("POST", "/api/v1/batches"),
        ("GET", "/api/v1/batches"),
        ("GET", "/api/v1/batches/x"),
        ("GET", "/api/v1/batches/x/files"),
        ("GET", "/api/v1/files/x"),
        ("GET", "/api/v1/files?idempotency_key=x"),
        ("DELETE", "/api/v1/files/x"),
        ("POST", "/api/v1/upload/cancel/x"),
        ("POST", "/api/v1/batch/cancel/x"),
        ("POST", "/files"),
        ("HEAD", "/files/x"),
        ("PATCH", "/files/x"),
        ("DELETE", "/files/x"),
        ("GET", "/nothing"),
    ],
)
def test_everything_else_needs_one(tus: TusClient, method: str, path: str) -> None:
    answers = [
        httpx.request(method, tus.server.url + path, headers=headers).status_code
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {tus.server.token}"})
    ]
    assert answers == [401] * 3


def test_the_page_of_the_api_needs_nothing_from_the_network(tus: TusClient) -> None:
    page = tus.http.get("/docs").text
    assert ("/api/v1/batch/cancel/{batch_id}" in page, "http" in page.replace("http:", "")) == (True, False)
