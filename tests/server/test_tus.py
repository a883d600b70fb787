"""tus 1.0.0 at /files, over real HTTP."""

from __future__ import annotations

import hashlib
import os

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.tus import OFFSET_STREAM, OpenPatch, TusClient, checksum, file_id, in_blocks
from tests.support.waiting import eventually

CONTENT = bytes(range(256)) * 4096  # 1 MiB


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_options_tells_what_the_server_speaks_even_without_a_token(server: ServerProcess) -> None:
    answer = httpx.options(server.url + "/files")
    told = {name: answer.headers[name] for name in ("Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm")}
    assert (answer.status_code, told) == (
        204,
        {
            "Tus-Version": "1.0.0",
            "Tus-Extension": "creation,creation-with-upload,termination,checksum,expiration",
            "Tus-Checksum-Algorithm": "sha256,sha1",
        },
    )


def test_a_file_in_three_patches_arrives_byte_for_byte(tus: TusClient) -> None:
    location = tus.created(len(CONTENT), filename="three.bin", relative_path="a/b/three.bin")
    tus.patch(location, 0, CONTENT[:1000])
    tus.patch(location, 1000, CONTENT[1000:700_000])
    last = tus.patch(location, 700_000, CONTENT[700_000:])
    assert (last.status_code, last.headers["Upload-SHA256"]) == (204, sha256(CONTENT))
    assert (tus.server.files_dir / "a/b/three.bin").read_bytes() == CONTENT


def test_creation_with_upload_finishes_a_small_file_in_one_request(tus: TusClient) -> None:
    answer = tus.create(5, b"hello", filename="small.txt", relative_path="größe/小.txt")
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Upload-Stored-Path"]) == (
        201,
        "5",
        "gr%C3%B6%C3%9Fe/%E5%B0%8F.txt",
    )
    assert (tus.server.files_dir / "größe/小.txt").read_bytes() == b"hello"


def test_creation_with_upload_takes_the_beginning_of_a_large_file(tus: TusClient) -> None:
    answer = tus.create(len(CONTENT), CONTENT[:500_000], filename="begun.bin")
    location = answer.headers["Location"]
    assert (answer.status_code, answer.headers["Upload-Offset"], tus.offset(location)) == (
        201,
        "500000",
        500_000,
    )


def test_creation_with_upload_streams_a_whole_large_file(tus: TusClient) -> None:
    answer = tus.create(len(CONTENT), CONTENT, filename="whole.bin")
    assert (answer.status_code, answer.headers.get("Upload-SHA256")) == (201, sha256(CONTENT))


def test_an_empty_file_is_finished_by_its_creation(tus: TusClient) -> None:
    location = tus.created(0, filename="empty")
    assert tus.file_body(location)["status"] == "stored"
    assert (tus.server.files_dir / "empty").read_bytes() == b""


def test_a_body_without_content_length_is_taken(tus: TusClient) -> None:
    location = tus.created(len(CONTENT), filename="chunked.bin")
    assert tus.patch(location, 0, in_blocks(CONTENT)).headers["Upload-SHA256"] == sha256(CONTENT)


def test_head_tells_offset_length_and_metadata_and_is_never_cached(tus: TusClient) -> None:
    location = tus.created(10, filename="head.bin")
    tus.patch(location, 0, b"1234")
    headers = tus.head(location).headers
    seen = [headers[name] for name in ("Upload-Offset", "Upload-Length", "Upload-Metadata", "Cache-Control")]
    assert seen == ["4", "10", "filename aGVhZC5iaW4=", "no-store"]


def test_head_of_a_finished_file_tells_what_the_last_patch_told(tus: TusClient) -> None:
    location = tus.created(5, b"hello", filename="finished.txt")
    headers = tus.head(location).headers
    assert (headers["Upload-SHA256"], headers["Upload-Stored-Path"]) == (sha256(b"hello"), "finished.txt")


def test_the_last_patch_again_gives_its_answer_again(tus: TusClient) -> None:
    location = tus.created(5, b"hello", filename="again.txt")
    answer = tus.patch(location, 5, b"")
    assert (answer.status_code, answer.headers["Upload-SHA256"]) == (204, sha256(b"hello"))


def test_names_no_two_files_share(tus: TusClient) -> None:
    paths = [tus.file_body(tus.created(1, b"x", filename="same.tar.gz"))["stored_path"] for _ in range(3)]
    assert paths == ["same.tar.gz", "same.tar (2).gz", "same.tar (3).gz"]


def test_a_folder_gives_way_to_a_file_of_its_name(tus: TusClient) -> None:
    tus.created(1, b"x", filename="way")
    paths = [
        tus.file_body(tus.created(1, b"x", filename="b", relative_path=f"way/{name}"))["stored_path"]
        for name in "bc"
    ]
    assert paths == ["way (2)/b", "way (2)/c"]


@pytest.mark.parametrize(
    "path",
    [
        "new\nline.txt",
        "👍🏽.png",
        "e\u0301.txt",
        "n" * 255,
        "/".join(["d"] * 200) + "/deep.txt",
        "…/~$#%&;.txt",
        "...",
    ],
)
def test_every_legal_name_works(tus: TusClient, path: str) -> None:
    location = tus.created(3, b"abc", filename=path.rpartition("/")[2], relative_path=path)
    assert tus.file_body(location)["stored_path"] == path
    assert (tus.server.files_dir / path).read_bytes() == b"abc"


def test_a_path_longer_than_the_system_takes_in_one_piece_works(tus: TusClient) -> None:
    path = "/".join(["long" * 20] * 100) + "/end.txt"  # 8 kB; PATH_MAX is 4 kB
    location = tus.created(3, b"abc", filename="end.txt", relative_path=path)
    assert (tus.file_body(location)["stored_path"], tus.http.delete(f"/api/v1{location}").status_code) == (
        path,
        204,
    )
    assert not (tus.server.files_dir / ("long" * 20)).exists()


@pytest.mark.parametrize(
    "path",
    [
        "../up",
        "a/../../up",
        "/absolute",
        "C:/x",
        "c:x",
        "a\\..\\b",
        "nul\0",
        "a//b",
        "./a",
        "CON",
        "aux.txt",
        "n" * 256,
    ],
)
def test_a_path_that_could_leave_its_folder_is_refused(tus: TusClient, path: str) -> None:
    assert code(tus.create(1, b"x", relative_path=path)) == (400, "unsafe_path")


def test_a_link_in_the_data_is_not_followed(tus: TusClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (tus.server.files_dir / "trap").symlink_to(outside)
    stored = tus.file_body(tus.created(1, b"x", filename="f", relative_path="trap/f"))["stored_path"]
    assert (stored, list(outside.iterdir())) == ("trap (2)/f", [])


def test_the_file_gets_the_mtime_of_the_senders_file(tus: TusClient) -> None:
    tus.created(1, b"x", filename="small-mtime", mtime="1234567890.5")
    location = tus.created(2, filename="mtime", mtime="1234567890.5")
    tus.patch(location, 0, b"xy")
    times = [os.stat(tus.server.files_dir / name).st_mtime_ns for name in ("small-mtime", "mtime")]
    assert times == [1234567890_500000000] * 2


# What is refused


def test_a_wrong_token_is_401_everywhere(server: ServerProcess) -> None:
    headers = {"Authorization": "Bearer wrong", "Tus-Resumable": "1.0.0"}
    answer = httpx.patch(server.url + "/files/x", headers=headers)
    assert (code(answer), answer.headers["WWW-Authenticate"]) == ((401, "unauthorized"), "Bearer")


def test_another_version_of_tus_is_412(tus: TusClient) -> None:
    answer = tus.http.post("/files", headers={"Tus-Resumable": "0.2.2"})
    assert (code(answer), answer.headers["Tus-Version"]) == ((412, "version_unsupported"), "1.0.0")


def test_an_unknown_file_is_404(tus: TusClient) -> None:
    statuses = [
        tus.head("/files/nothing").status_code,
        tus.patch("/files/nothing", 0, b"x").status_code,
        tus.delete("/files/nothing").status_code,
        tus.cancel_file("/files/nothing").status_code,
        tus.http.get("/api/v1/files/nothing").status_code,
    ]
    assert statuses == [404] * 5


def test_a_wrong_offset_is_409_with_the_right_one(tus: TusClient) -> None:
    location = tus.created(10, filename="offset.bin")
    tus.patch(location, 0, b"1234")
    answers = [tus.patch(location, offset, b"x") for offset in (3, 5)]
    assert [(code(one), one.headers["Upload-Offset"]) for one in answers] == [
        ((409, "offset_conflict"), "4")
    ] * 2


def test_a_wrong_offset_on_a_finished_file_is_409(tus: TusClient) -> None:
    location = tus.created(5, b"hello", filename="done.txt")
    assert code(tus.patch(location, 0, b"hello")) == (409, "offset_conflict")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_length_is_413_and_changes_nothing(tus: TusClient, chunked: bool) -> None:
    location = tus.created(1000, filename="beyond.bin")
    tus.patch(location, 0, CONTENT[:10])
    content = in_blocks(CONTENT[10:1001], 100) if chunked else CONTENT[10:1001]
    assert (code(tus.patch(location, 10, content)), tus.offset(location)) == ((413, "body_too_long"), 10)


def test_another_content_type_is_415(tus: TusClient) -> None:
    location = tus.created(10, filename="type.bin")
    answer = tus.patch(location, 0, b"x", {"Content-Type": "text/plain"})
    assert code(answer) == (415, "content_type_unsupported")


@pytest.mark.parametrize(
    "headers,expected",
    [
        ({"Upload-Defer-Length": "1"}, "defer_length_unsupported"),
        ({"Upload-Length": "-1"}, "invalid_request"),
        ({"Upload-Length": "ten"}, "invalid_request"),
        ({"Upload-Length": "9" * 30}, "invalid_request"),
        ({"Upload-Metadata": "filename ***"}, "invalid_metadata"),
        ({"Upload-Metadata": "filename /w=="}, "invalid_metadata"),
        ({"Upload-Metadata": "relative_path YQ=="}, "invalid_metadata"),
        ({"Upload-Metadata": "filename YQ==,filename YQ=="}, "invalid_metadata"),
        ({"Upload-Metadata": "filename YQ==,mtime YQ=="}, "invalid_metadata"),
        ({"Upload-Metadata": "filename YQ==,sha256 YQ=="}, "invalid_request"),
        ({"Upload-Checksum": "md5 YQ=="}, "checksum_algorithm_unsupported"),
        ({"Upload-SHA256": "abc"}, "invalid_request"),
        ({"Idempotency-Key": "x" * 256}, "invalid_request"),
    ],
)
def test_a_malformed_creation_is_400(tus: TusClient, headers: dict[str, str], expected: str) -> None:
    assert code(tus.create(5, b"hello", headers=headers)) == (400, expected)


def test_unknown_metadata_is_ignored(tus: TusClient) -> None:
    assert tus.create(1, b"x", filename="unknown", colour="blue").status_code == 201


def test_two_patches_at_once_on_one_file_is_423(tus: TusClient) -> None:
    location = tus.created(1000, filename="locked.bin")
    with OpenPatch(tus.server, location, 0, 1000) as first:
        first.send(b"x" * 10)
        eventually(lambda: tus.file_body(location)["status"], "uploading".__eq__)
        assert code(tus.patch(location, 0, b"x")) == (423, "locked")
        first.send(b"x" * 990)
        assert first.answer()[0] == 204


def test_method_override_reaches_servers_behind_narrow_proxies(tus: TusClient) -> None:
    location = tus.created(5, filename="override.txt")
    answer = tus.http.post(
        location,
        content=b"hello",
        headers={
            "Tus-Resumable": "1.0.0",
            "X-HTTP-Method-Override": "PATCH",
            "Upload-Offset": "0",
            "Content-Type": OFFSET_STREAM,
        },
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5")


def test_a_method_that_is_not_there_is_405(tus: TusClient) -> None:
    answers = [tus.http.put("/files"), tus.http.get("/files/x"), tus.http.put("/api/v1/batches")]
    assert [code(answer) for answer in answers] == [(405, "method_not_allowed")] * 3


# Checksums


def test_the_hash_given_at_creation_is_checked(tus: TusClient) -> None:
    good = tus.create(5, b"hello", filename="good", sha256=sha256(b"hello"))
    location = tus.created(5, filename="bad", sha256=sha256(b"other"))
    bad = tus.patch(location, 0, b"hello")
    assert (good.status_code, code(bad)) == (201, (460, "checksum_mismatch"))
    body = tus.file_body(location)
    assert (body["status"], body["stored_path"]) == ("failed", None)
    assert not (tus.server.partials_dir / file_id(location)).exists()


@pytest.mark.parametrize("size_bytes", [5, 1_000_000])
def test_the_hash_given_with_the_last_bytes_is_checked(tus: TusClient, size_bytes: int) -> None:
    content = CONTENT[:size_bytes]
    wrong = {"Upload-SHA256": sha256(b"other")}
    right = {"Upload-SHA256": sha256(content)}
    answers = [
        tus.create(size_bytes, content, filename="last", headers=headers) for headers in (wrong, right)
    ]
    location = tus.created(size_bytes, filename="last-patch")
    answers.append(tus.patch(location, 0, content, wrong))
    assert [answer.status_code for answer in answers] == [460, 201, 460]


def test_a_failed_file_takes_no_more_bytes(tus: TusClient) -> None:
    location = tus.created(5, filename="failed", sha256=sha256(b"other"))
    tus.patch(location, 0, b"hello")
    assert (tus.head(location).status_code, code(tus.patch(location, 0, b"hello"))) == (410, (410, "failed"))


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_wrong_upload_checksum_leaves_the_offset_where_it_was(tus: TusClient, algorithm: str) -> None:
    location = tus.created(len(CONTENT), filename="checksum.bin")
    tus.patch(location, 0, CONTENT[:1000], {"Upload-Checksum": checksum(CONTENT[:1000], algorithm)})
    wrong = tus.patch(location, 1000, CONTENT[1000:], {"Upload-Checksum": checksum(b"other", algorithm)})
    assert (code(wrong), tus.offset(location)) == ((460, "checksum_mismatch"), 1000)
    right = tus.patch(
        location, 1000, CONTENT[1000:], {"Upload-Checksum": checksum(CONTENT[1000:], algorithm)}
    )
    assert right.headers["Upload-SHA256"] == sha256(CONTENT)


def test_a_wrong_upload_checksum_at_creation_makes_no_file(tus: TusClient) -> None:
    batch = tus.batch("Nothing")
    answer = tus.create(5, b"hello", batch_id=batch, headers={"Upload-Checksum": checksum(b"other")})
    assert (answer.status_code, tus.batch_body(batch)["total_files"]) == (460, 0)


# Cut connections


def test_a_cut_connection_keeps_what_arrived(tus: TusClient) -> None:
    location = tus.created(len(CONTENT), filename="cut.bin")
    with OpenPatch(tus.server, location, 0, len(CONTENT)) as patch:
        patch.send(CONTENT[:300_000])
    offset = eventually(lambda: tus.offset(location), lambda seen: seen > 0)
    rest = eventually(lambda: tus.patch(location, offset, CONTENT[offset:]), lambda it: it.status_code != 423)
    assert (offset, rest.headers["Upload-SHA256"]) == (300_000, sha256(CONTENT))


def test_a_cut_connection_with_a_checksum_keeps_nothing_unproved(tus: TusClient) -> None:
    location = tus.created(len(CONTENT), filename="cut-checked.bin")
    tus.patch(location, 0, CONTENT[:1000])
    with OpenPatch(tus.server, location, 1000, 500_000, **{"Upload-Checksum": checksum(b"never")}) as patch:
        patch.send(CONTENT[1000:200_000])
        eventually(
            lambda: (tus.server.partials_dir / file_id(location)).stat().st_size, lambda size: size > 1000
        )
    rest = eventually(lambda: tus.patch(location, 1000, CONTENT[1000:]), lambda it: it.status_code != 423)
    assert rest.headers["Upload-SHA256"] == sha256(CONTENT)


# Idempotency-Key


def test_the_same_key_finds_the_same_file(tus: TusClient) -> None:
    key = {"Idempotency-Key": "transfer-1"}
    first = tus.create(len(CONTENT), CONTENT[:400_000], filename="key.bin", headers=key)
    again = tus.create(len(CONTENT), CONTENT[:400_000], filename="key.bin", headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (
        first.headers["Location"],
        "400000",
    )


def test_the_same_key_of_a_small_file_makes_no_second_file(tus: TusClient) -> None:
    batch, key = tus.batch("Once"), {"Idempotency-Key": "transfer-2"}
    answers = [tus.create(5, b"hello", batch_id=batch, headers=key) for _ in range(2)]
    assert [answer.headers["Upload-SHA256"] for answer in answers] == [sha256(b"hello")] * 2
    assert (tus.batch_body(batch)["total_files"], len({one.headers["Location"] for one in answers})) == (1, 1)


def test_the_same_key_with_another_length_is_409(tus: TusClient) -> None:
    key = {"Idempotency-Key": "transfer-3"}
    tus.create(5, headers=key)
    assert code(tus.create(6, headers=key)) == (409, "idempotency_mismatch")


def test_the_key_of_a_cancelled_file_is_410(tus: TusClient) -> None:
    key = {"Idempotency-Key": "transfer-4"}
    tus.cancel_file(tus.create(5, headers=key).headers["Location"])
    assert code(tus.create(5, headers=key)) == (410, "cancelled")


def test_the_key_of_a_failed_file_starts_it_again_and_counts_it_once(tus: TusClient) -> None:
    batch, key = tus.batch("Revived"), {"Idempotency-Key": "transfer-5"}
    failed = tus.create(5, b"wrong", batch_id=batch, sha256=sha256(b"hello"), headers=key)
    before = tus.batch_body(batch)
    revived = tus.create(5, b"hello", batch_id=batch, sha256=sha256(b"hello"), headers=key)
    after = tus.batch_body(batch)
    assert (failed.status_code, before["status"], before["failed_count"]) == (460, "failed", 1)
    assert (revived.status_code, after["status"], after["failed_count"], after["total_files"]) == (
        201,
        "completed",
        0,
        1,
    )


# Termination


def test_termination_ends_an_unfinished_file_and_its_bytes(tus: TusClient) -> None:
    location = tus.created(10, filename="terminated.bin")
    tus.patch(location, 0, b"12345")
    statuses = (
        tus.delete(location).status_code,
        tus.head(location).status_code,
        tus.delete(location).status_code,
    )
    assert (statuses, (tus.server.partials_dir / file_id(location)).exists()) == ((204, 410, 410), False)


def test_termination_of_a_finished_file_removes_it(tus: TusClient) -> None:
    location = tus.created(5, b"hello", filename="finished-then-gone.txt")
    assert (tus.delete(location).status_code, tus.head(location).status_code) == (204, 404)
    assert not (tus.server.files_dir / "finished-then-gone.txt").exists()
