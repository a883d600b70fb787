"""Files of vuemantics: bulk and single POST, what is refused and why, reading, listing, deleting."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

from tests.support.server import ServerProcess
from tests.support.vuemantics_client import SlowBulk, VuemanticsClient, picture, pictures
from tests.support.waiting import eventually

MIB = 1024 * 1024


def test_a_bulk_answers_what_was_taken_and_what_was_refused_and_why(client: VuemanticsClient) -> None:
    answer = client.bulk(
        [
            ("a.png", picture(1), "image/png"),
            ("notes.txt", b"hello", "text/plain"),
            ("empty.png", b"", "image/png"),
            ("b.PNG", picture(2), "IMAGE/PNG; charset=binary"),
            ("large.png", b"x" * (100 * MIB + 1), "image/png"),
        ]
    )
    body = answer.json()
    assert (answer.status_code, sorted(body)) == (
        201,
        ["batch_id", "failed", "failed_files", "queued", "total_files", "upload_ids"],
    )
    assert (body["total_files"], body["queued"], body["failed"]) == (5, 2, 3)
    assert [client.upload(one)["filename"] for one in body["upload_ids"]] == ["a.png", "b.PNG"]
    assert body["failed_files"] == [
        {"filename": "notes.txt", "error": "Unsupported file type: text/plain"},
        {"filename": "empty.png", "error": "The file is empty."},
        {"filename": "large.png", "error": "File exceeds 100MB limit"},
    ]
    batch = client.over(body["batch_id"])
    assert (batch["total_uploads"], batch["successful_uploads"]) == (2, 2)
    assert list(client.server.partials_dir.iterdir()) == []


def test_a_stored_file_is_shown_with_what_its_content_says(client: VuemanticsClient) -> None:
    content = picture(9, (120, 60))
    name = "Käse 🧀 “neu”.png"
    body = client.bulk([(name, content, "image/png")]).json()
    upload_id = body["upload_ids"][0]
    client.over(body["batch_id"])
    shown = client.upload(upload_id)
    folder = f"/files/{client.user['id']}/{upload_id}"
    assert {key: shown[key] for key in ("filename", "file_path", "file_type", "file_size", "mime_type")} == {
        "filename": name,
        "file_path": f"{folder}/original.png",
        "file_type": "image",
        "file_size": len(content),
        "mime_type": "image/png",
    }
    assert (shown["processing_status"], shown["thumbnail_path"]) == ("completed", f"{folder}/thumbnail.jpg")
    assert shown["metadata"] == {
        "width": 120,
        "height": 60,
        "detected_mime_type": "image/png",
        "sha256_verified": True,
        "batch_id": body["batch_id"],
        "upload_source": "bulk",
        "original_filename": name,
    }
    paths = (f"/v1/uploads/{upload_id}/download", shown["file_path"])
    assert [client.http.get(path).content for path in paths] == [content, content]
    assert client.http.get(shown["thumbnail_path"]).content[:2] == b"\xff\xd8"


def test_a_single_file_is_stored_and_processed_without_a_batch(client: VuemanticsClient) -> None:
    answer = client.http.post("/v1/uploads", files={"file": ("film.mp4", b"x" * 300_000, "video/mp4")})
    shown = answer.json()
    assert (answer.status_code, shown["file_type"], shown["file_size"], shown["metadata"]) == (
        201,
        "video",
        300_000,
        {"original_filename": "film.mp4", "upload_source": "web"},
    )
    assert client.batches() == []


def test_a_single_file_is_refused_with_the_status_that_was_promised(client: VuemanticsClient) -> None:
    answers = [
        client.http.post("/v1/uploads", files={"file": ("a.gif", b"GIF89a", "image/gif")}),
        client.http.post("/v1/uploads", files={"file": ("a.png", b"x" * (100 * MIB + 1), "image/png")}),
        client.http.post("/v1/uploads", files={"file": ("a.png", b"", "image/png")}),
    ]
    assert [(one.status_code, one.json()["type"]) for one in answers] == [
        (415, "UnsupportedFileTypeError"),
        (413, "FileTooLargeError"),
        (422, "ValidationError"),
    ]
    assert client.uploads()["total"] == 0


def test_a_body_without_files_makes_no_batch(client: VuemanticsClient) -> None:
    answers = [
        client.http.post("/v1/uploads/bulk", json=["a"]),
        client.http.post("/v1/uploads/bulk"),
        client.http.post("/v1/uploads/bulk", files={"wrong": ("a.png", picture(), "image/png")}),
    ]
    assert [(one.status_code, one.json()["detail"][0]["loc"]) for one in answers] == [
        (422, ["body", "files"])
    ] * 3
    bare = client.http.post(
        "/v1/uploads/bulk", content=b"--x--", headers={"Content-Type": "multipart/form-data"}
    )
    assert (bare.status_code, bare.json()) == (400, {"detail": "Missing boundary in multipart."})
    assert client.batches() == []


def test_a_thousand_files_go_in_one_post_and_no_more(client: VuemanticsClient) -> None:
    one = picture()
    body = client.bulk([(f"{index}.png", one, "image/png") for index in range(1000)]).json()
    assert (body["queued"], len(set(body["upload_ids"]))) == (1000, 1000)
    cancelled = client.cancel(body["batch_id"])
    assert cancelled.status_code == 204
    more = client.bulk([(f"{index}.png", one, "image/png") for index in range(1001)])
    assert (more.status_code, more.json()) == (
        400,
        {"detail": "Too many files. Maximum number of files is 1000."},
    )
    assert client.uploads()["total"] == 1000
    assert (
        client.batches()[0]["error_message"]
        == "The request was cut off or malformed; nothing of it was kept."
    )


def test_more_than_a_batch_may_weigh_is_refused_before_it_is_sent(client: VuemanticsClient) -> None:
    address = urlsplit(client.server.url)
    head = (
        "POST /vuemantics/v1/uploads/bulk HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {client.http.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {11 * 1024**3}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as sender:
        sender.sendall(head.encode())
        answer = b"".join(iter(lambda: sender.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 422")
    assert answer.endswith(b'{"detail":"Total file size exceeds 10.0GB limit","type":"ValidationError"}')
    assert client.batches() == []


def test_a_cut_post_leaves_no_file(client: VuemanticsClient) -> None:
    with SlowBulk(client) as bulk:
        bulk.file("first.png", picture(1))
        bulk.head("second.png")
        bulk.send(b"x" * 400_000)
        eventually(lambda: client.uploads()["total"], lambda total: total == 2)
        bulk.cut()
    eventually(lambda: client.uploads()["total"], lambda total: total == 0)
    batch = client.over(client.batches()[0]["batch_id"])
    assert (batch["status"], batch["total_uploads"]) == ("cancelled", 0)
    assert list(client.server.partials_dir.iterdir()) == []


def test_files_are_listed_by_page_status_type_and_order(client: VuemanticsClient) -> None:
    body = client.bulk([*pictures(3), ("not.png", b"no picture", "image/png")]).json()
    client.over(body["batch_id"])
    client.http.post("/v1/uploads", files={"file": ("film.mp4", b"0" * 99, "video/mp4")})
    first = client.uploads(page_size=2, sort_by="filename", sort_order="asc", file_type="image")
    assert ([one["filename"] for one in first["items"]], first["total"], first["pages"]) == (
        ["0.png", "1.png"],
        4,
        2,
    )
    failed = client.uploads(processing_status="failed")["items"]
    assert [(one["filename"], one["error_message"]) for one in failed] == [
        ("not.png", "Failed after retry: The file was sent as image/png, but it is no picture.")
    ]
    assert [one["filename"] for one in client.uploads(file_type="video")["items"]] == ["film.mp4"]
    wrong = [{"page": 0}, {"page_size": 101}, {"sort_by": "password"}, {"processing_status": "odd"}]
    assert [client.http.get("/v1/uploads", params=one).status_code for one in wrong] == [422] * 4


def test_a_deleted_file_is_gone_from_the_disk(client: VuemanticsClient) -> None:
    ids = client.bulk(pictures(3)).json()["upload_ids"]
    before = len(list(client.server.files_dir.rglob("*.png")))
    assert client.http.delete(f"/v1/uploads/{ids[0]}").status_code == 204
    many = client.http.post("/v1/uploads/bulk/delete", json=[*ids, str(uuid4())])
    assert (many.status_code, many.json()) == (200, {"deleted": 2})
    assert before - len(list(client.server.files_dir.rglob("*.png"))) == 3
    again = client.http.delete(f"/v1/uploads/{ids[0]}")
    assert (again.status_code, again.json()) == (404, {"detail": "Upload not found", "type": "NotFoundError"})


def test_a_hidden_file_is_listed_only_on_demand(client: VuemanticsClient) -> None:
    first, second = client.bulk(pictures(2)).json()["upload_ids"]
    one = client.http.patch(f"/v1/uploads/{first}/hide")
    many = client.http.post("/v1/uploads/bulk/hide", json=[second, str(uuid4())])
    assert (one.status_code, one.json()["hidden"], many.json()) == (200, True, {"updated": 1})
    assert (client.uploads()["total"], client.uploads(show_hidden=True)["total"]) == (0, 2)
    client.http.patch(f"/v1/uploads/{first}/hide", params={"hidden": False})
    assert [item["id"] for item in client.uploads()["items"]] == [first]


def test_a_change_of_many_wants_one_to_a_hundred_ids(client: VuemanticsClient) -> None:
    lists = [[], [str(uuid4()) for _ in range(101)]]
    answers = [client.http.post("/v1/uploads/bulk/delete", json=ids) for ids in lists]
    assert [(one.status_code, one.json()) for one in answers] == [
        (422, {"detail": "No upload IDs provided", "type": "ValidationError"}),
        (422, {"detail": "Maximum 100 uploads can be changed at once", "type": "ValidationError"}),
    ]


def test_somebody_elses_ids_are_not_there(server: ServerProcess, client: VuemanticsClient) -> None:
    body = client.bulk(pictures(1)).json()
    upload_id, batch_id = body["upload_ids"][0], body["batch_id"]
    path = client.upload(upload_id)["file_path"]
    with VuemanticsClient(server) as other:
        answers = [
            other.http.get(f"/v1/uploads/{upload_id}"),
            other.http.get(f"/v1/uploads/{upload_id}/download"),
            other.http.get(f"/v1/uploads/{upload_id}/metadata"),
            other.http.get(path),
            other.http.delete(f"/v1/uploads/{upload_id}"),
            other.http.patch(f"/v1/uploads/{upload_id}/hide"),
            other.http.get(f"/v1/uploads/batches/{batch_id}"),
            other.cancel(batch_id),
            other.cancel(str(uuid4())),
        ]
        assert [one.status_code for one in answers] == [404] * 9
        assert other.http.post("/v1/uploads/bulk/delete", json=[upload_id]).json() == {"deleted": 0}
        assert (other.uploads()["items"], other.batches()) == ([], [])
    assert client.upload(upload_id)["id"] == upload_id


def test_many_posts_at_once_count_right(client: VuemanticsClient) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.bulk(pictures(10)).json(), range(6)))
    batches = [client.over(answer["batch_id"]) for answer in answers]
    assert [(one["total_uploads"], one["successful_uploads"], one["status"]) for one in batches] == [
        (10, 10, "completed")
    ] * 6


def test_a_video_is_verified_and_recognised_but_not_opened(client: VuemanticsClient) -> None:
    film = bytes.fromhex("00000018667479706d703432000000006d70343269736f6d") + b"\0" * 5000
    told = client.bulk([("film.mp4", film, "video/mp4")]).json()
    batch, shown = client.over(told["batch_id"]), client.upload(told["upload_ids"][0])
    assert batch["status"] == "completed"
    assert (shown["file_type"], shown["file_size"], shown["thumbnail_path"], shown["video_codec"]) == (
        "video",
        len(film),
        None,
        None,
    )
    assert shown["metadata"] == {
        "batch_id": told["batch_id"],
        "detected_mime_type": "video/mp4",
        "original_filename": "film.mp4",
        "sha256_verified": True,
        "upload_source": "bulk",
    }
