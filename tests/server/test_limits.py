"""The limits a server is started with."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess
from tests.support.tus import OpenPatch, TusClient, metadata
from tests.support.waiting import eventually


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_file_over_the_size_limit_is_413_and_the_limit_is_told(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-size", "1K") as server, TusClient(server) as tus:
        refused = tus.create(1025, bytes(1025))
        told = httpx.options(server.url + "/files").headers["Tus-Max-Size"]
        assert (code(refused), refused.headers["Tus-Max-Size"], told) == ((413, "too_large"), "1024", "1024")
        assert tus.create(1024, bytes(1024)).status_code == 201


def test_a_large_body_is_refused_without_reading_it(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-size", "1M") as server, TusClient(server) as tus:
        location = tus.created(1_000_000)
        with OpenPatch(server, location, 0, 10**12) as patch:
            status, headers = patch.answer()
        assert (status, headers["connection"]) == (413, "close")


def test_a_batch_takes_no_more_files_than_allowed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-files", "2") as server, TusClient(server) as tus:
        batch = tus.batch()
        answers = [tus.create(1, b"x", batch_id=batch) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 409]
        assert (code(answers[2]), tus.batch_body(batch)["total_files"]) == ((409, "batch_full"), 2)


def test_a_full_disk_is_507_before_a_byte_is_taken(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with ServerProcess(tmp_path, "--min-free", str(2 * free)) as server, TusClient(server) as tus:
        assert code(tus.create(1, b"x")) == (507, "disk_full")


def test_a_disk_that_fills_up_during_an_upload_keeps_what_arrived(tmp_path: Path) -> None:
    content = bytes(2_000_000)
    with ServerProcess(tmp_path) as server, TusClient(server) as tus:
        location = tus.created(len(content), filename="full.bin")
    server.options = ("--min-free", str(2 * shutil.disk_usage(tmp_path).free))
    with server, TusClient(server) as tus, OpenPatch(server, location, 0, len(content)) as patch:
        patch.send(content[:1_500_000])
        status, _ = patch.answer()
        assert (status, eventually(lambda: tus.offset(location), lambda seen: seen > 0)) == (507, 1_500_000)
        server.stop()
        server.options = ()
        server.start()
        with TusClient(server) as again:
            rest = again.patch(location, 1_500_000, content[1_500_000:])
        assert rest.headers["Upload-SHA256"] == hashlib.sha256(content).hexdigest()


def test_a_body_that_stops_coming_does_not_hold_the_file_for_ever(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--stall-seconds", "0.5") as server, TusClient(server) as tus:
        location = tus.created(1000, filename="stalled.bin")
        with OpenPatch(server, location, 0, 1000) as patch:
            patch.send(b"x" * 10)
            assert (patch.answer()[0], tus.offset(location)) == (408, 10)
        headers = {"Upload-Metadata": metadata(filename="small"), "Upload-Length": "10"}
        with OpenPatch(server, "/files", 0, 10, method="POST", **headers) as small:
            small.send(b"12345")
            assert small.answer()[0] == 408


@pytest.mark.parametrize(
    "options",
    [
        ("--max-size", "many"),
        ("--max-files", "0"),
        ("--port", "99999"),
        ("--expire-hours", "-1"),
        ("--host", "256.1.1.1"),
    ],
)
def test_a_wrong_option_is_a_sentence_and_exit_code_2(tmp_path: Path, options: tuple[str, str]) -> None:
    server = ServerProcess(tmp_path, *options)
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    assert (server.exit_code, "Traceback" in server.log) == (2, False)
