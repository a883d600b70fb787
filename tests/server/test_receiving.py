"""Bytes of unknown length become files: parts of a multipart body, and streams, with flat memory and a cancel that reaches them."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server.test_memory import peak_mib
from tests.support.server import ServerProcess
from tests.support.tus import TusClient
from tests.support.waiting import eventually

PROBE = "tests.support.probe_server"
MIB = 1024 * 1024
BOUNDARY = "ThisIsTheBoundary"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that takes multipart bodies."""
    with ServerProcess(tmp_path, module=PROBE) as running:
        yield running


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=50) as client:
        yield client


def part(name: str, content: bytes, disposition: str = "") -> bytes:
    named = disposition or f'filename="{name}"'
    head = f'Content-Disposition: form-data; name="files"; {named}\r\nContent-Type: image/png'
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def test_every_part_becomes_a_file_of_the_batch_with_its_own_hash(
    server: ServerProcess, http: httpx.Client
) -> None:
    contents = [b"", b"small", os.urandom(256 * 1024), os.urandom(256 * 1024 + 1), os.urandom(3 * MIB + 7)]
    answer = http.post("/probe/bulk", files=[("files", (f"{n}.bin", one)) for n, one in enumerate(contents)])
    batch = http.get(f"/api/v1/batches/{answer.json()['batch_id']}").json()
    listed = http.get(f"/api/v1/batches/{batch['batch_id']}/files").json()["items"]
    assert answer.json()["files"] == [one["file_id"] for one in listed]
    assert [(one["size_bytes"], one["sha256"]) for one in listed] == [
        (len(one), hashlib.sha256(one).hexdigest()) for one in contents
    ]
    assert [(server.files_dir / one["stored_path"]).read_bytes() for one in listed] == contents
    total = sum(map(len, contents))
    assert (batch["status"], batch["stored_count"], batch["total_bytes"], batch["stored_bytes"]) == (
        "completed",
        5,
        total,
        total,
    )
    assert list(server.partials_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="αβγ.png"', "αβγ.png"),
        ("filename*=UTF-8''%CE%B1%20b.png", "α b.png"),
        ('filename="../../etc/passwd"', "../../etc/passwd"),
        ('filename="a\\"b.png"', 'a"b.png'),
        ('filename=""', ""),
    ],
)
def test_names_are_kept_and_made_safe(http: httpx.Client, disposition: str, name: str) -> None:
    body = part("", b"x", disposition) + END
    batch = http.post("/probe/bulk", content=body, headers=HEADERS).json()["batch_id"]
    found = http.get(f"/api/v1/batches/{batch}/files").json()["items"]
    assert [(one["filename"], one["stored_path"].count("/")) for one in found] == [(name, 1)]


@pytest.mark.parametrize(
    ("content_type", "body", "detail"),
    [
        ("application/json", b"{}", "must be multipart/form-data"),
        ("multipart/form-data", b"", "Missing boundary"),
        (HEADERS["Content-Type"], b"no boundary here", "malformed"),
        (HEADERS["Content-Type"], part("a", b"xyz"), "breaks off"),
        (HEADERS["Content-Type"], b"", "breaks off"),
        (HEADERS["Content-Type"], part("a", b"", "x=" + "y" * 40_000) + END, "malformed"),
    ],
)
def test_a_malformed_body_is_refused_with_a_sentence(
    http: httpx.Client, content_type: str, body: bytes, detail: str
) -> None:
    answer = http.post("/probe/bulk", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_multipart")
    assert detail in answer.json()["detail"]


def test_a_part_too_many_is_refused_and_what_came_before_it_stays(http: httpx.Client) -> None:
    body = b"".join(part(f"{n}", b"x") for n in range(1001)) + END
    answer = http.post("/probe/bulk", content=body, headers=HEADERS)
    newest = http.get("/api/v1/batches").json()["items"][0]
    assert (answer.status_code, answer.json()["code"], newest["stored_count"]) == (
        400,
        "too_many_parts",
        1000,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_many_and_large_parts_stream_through_flat_memory(server: ServerProcess, http: httpx.Client) -> None:
    def body(large_mib: int, small: int) -> Iterator[bytes]:
        block = bytes(MIB)
        yield part("large", b"")[:-2]
        yield from (block for _ in range(large_mib))
        yield b"\r\n"
        yield from (part(f"{n}", b"\x01" * 50_000) for n in range(small))
        yield END

    http.post("/probe/bulk", content=body(8, 20), headers=HEADERS)
    before = peak_mib(server.pid)
    answer = http.post("/probe/bulk", content=body(400, 900), headers=HEADERS)
    growth = peak_mib(server.pid) - before
    batch = http.get(f"/api/v1/batches/{answer.json()['batch_id']}").json()
    assert (batch["stored_count"], batch["stored_bytes"]) == (901, 400 * MIB + 900 * 50_000)
    assert growth < 48


class OpenBody:
    """A chunked POST that goes on as long as the test wants."""

    def __init__(self, server: ServerProcess, path: str, headers: dict[str, str]) -> None:
        parts = urlsplit(server.url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        lines = [f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in (headers | server.headers).items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, content: bytes) -> None:
        self._socket.sendall(b"%x\r\n%b\r\n" % (len(content), content))

    def status(self) -> int:
        return int(self._socket.makefile("rb").readline().split()[1])

    def __enter__(self) -> OpenBody:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()


def uploading(http: httpx.Client, batch: str) -> str:
    found = eventually(
        lambda: http.get(f"/api/v1/batches/{batch}/files").json()["items"],
        lambda items: bool(items) and items[-1]["status"] == "uploading" and items[-1]["offset"] >= MIB,
    )
    name: str = found[-1]["file_id"]
    return name


def test_a_cancel_of_the_batch_ends_the_part_that_is_arriving(
    server: ServerProcess, http: httpx.Client
) -> None:
    with OpenBody(server, "/probe/bulk", HEADERS) as body:
        body.send(part("done", b"abc") + part("large", b"")[:-2] + bytes(2 * MIB))
        batch = eventually(lambda: http.get("/api/v1/batches").json()["items"], bool)[0]["batch_id"]
        uploading(http, batch)
        cancelled = http.post(f"/api/v1/batch/cancel/{batch}").json()
        left = list(server.partials_dir.iterdir())
        status = body.status()
    after = http.get(f"/api/v1/batches/{batch}").json()
    assert (cancelled["cancelled_files_count"], cancelled["finished_files_count"], left, status) == (
        1,
        1,
        [],
        410,
    )
    assert (after["status"], after["stored_count"], after["cancelled_count"]) == ("cancelled", 1, 1)


def test_a_file_of_unknown_length_that_a_killed_server_was_receiving_has_failed_after_the_restart(
    server: ServerProcess, http: httpx.Client
) -> None:
    with OpenBody(server, "/probe/bulk", HEADERS) as body:
        body.send(part("large", b"")[:-2] + bytes(2 * MIB))
        batch = eventually(lambda: http.get("/api/v1/batches").json()["items"], bool)[0]["batch_id"]
        file_id = uploading(http, batch)
        server.kill()
    server.restart()
    with TusClient(server) as tus:
        after, found = tus.batch_body(batch), tus.file_body(f"/files/{file_id}")
    assert (found["status"], found["error_message"]) == (
        "failed",
        "The server stopped while this file arrived.",
    )
    assert (after["status"], after["failed_count"], list(server.partials_dir.iterdir())) == ("failed", 1, [])


def test_a_stream_larger_than_the_server_takes_is_refused_while_it_arrives(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, "--max-size", "1M", module=PROBE) as server,
        httpx.Client(base_url=server.url, headers=server.headers) as http,
    ):
        fits = http.post("/probe/raw", content=iter([bytes(MIB // 2)] * 2))
        with OpenBody(server, "/probe/raw", {}) as body:
            for _ in range(3):
                body.send(bytes(MIB // 2))
            status = body.status()
        database = sqlite3.connect(server.database_path)
        rows = database.execute("SELECT status, size_bytes, extra FROM files ORDER BY seq").fetchall()
        database.close()
    assert (fits.status_code, status, rows[0]) == (201, 413, ("stored", MIB, '{"from": "raw"}'))
    assert [row[0] for row in rows[1:]] == ["failed"]
