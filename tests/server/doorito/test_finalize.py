"""PEP 0014 and 0009: parts become one file, streamed and hashed on the way."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.doorito_client import Doorito, parts_on_disk
from tests.support.server import ServerProcess

MIB = 1024 * 1024


def test_a_missing_part_is_400_with_a_descriptive_error(client: Doorito) -> None:
    session = client.session(5, 1)
    for number in (1, 2, 3, 5):
        client.put(session, number, b"x")
    answer = client.finalize(session)
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": "4 of 5 parts are here; missing: 4.", "code": "parts_missing", "missing_parts": [4]},
    )
    assert client.status(session)["status"] == "in_progress"


def test_stored_and_complete_come_only_after_assembly_and_sha256_matches_the_content(client: Doorito) -> None:
    content = random.Random(1).randbytes(3 * MIB + 17)
    batch = client.batch(name="Assembly")
    session = client.uploaded(content, MIB, batch_id=batch, name="a.bin")
    before = (client.status(session)["status"], client.counts(batch))
    answer = client.finalize(session)
    after = (client.status(session)["status"], client.counts(batch))
    assert (before, after) == (("in_progress", (1, 0, 0, 0)), ("complete", (1, 1, 0, 0)))
    assert answer.json()["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (client.server.files_dir / "Assembly/a.bin").read_bytes() == content
    assert [one for one in parts_on_disk(client.server.data_dir) if one.startswith(session)] == []


def test_a_duplicate_finalize_answers_the_same(client: Doorito) -> None:
    session = client.uploaded(b"abc", 2)
    answers = [client.finalize(session) for _ in range(3)]
    assert [one.status_code for one in answers] == [200] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()


def test_ten_finalizes_at_once_store_one_file(client: Doorito, server: ServerProcess) -> None:
    content = random.Random(2).randbytes(8 * MIB)
    batch = client.batch(name="Ten at once")
    session = client.uploaded(content, MIB, batch_id=batch)

    def end(_number: int) -> int:
        with Doorito(server, server.token) as one:
            return one.finalize(session).status_code

    with ThreadPoolExecutor(10) as pool:
        seen = list(pool.map(end, range(10)))
    assert (seen, client.counts(batch)) == ([200] * 10, (1, 1, 0, 0))
    assert [path.name for path in (server.files_dir / "Ten at once").iterdir()] == ["f.bin"]


def test_an_empty_file_has_no_parts_and_is_finalized(client: Doorito) -> None:
    stored = client.finalize(client.session(0)).json()
    assert (stored["status"], stored["file"]["sha256"]) == ("complete", hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize(
    "name", ["Übung 日本語 🐚.txt", "../../etc/passwd", "a/b\\c:d.txt", "line\nbreak", "CON", ".", "x" * 255]
)
def test_any_name_is_kept_as_it_is_and_stored_safely(client: Doorito, name: str) -> None:
    batch = client.batch()
    stored = client.finalize(client.uploaded(name.encode(), 1000, batch_id=batch, name=name)).json()["file"]
    found = [path for path in client.server.files_dir.rglob("*") if path.is_file()]
    assert stored["original_filename"] == name
    assert name.encode() in [path.read_bytes() for path in found]


def test_two_files_of_one_name_do_not_overwrite_each_other(client: Doorito) -> None:
    batch = client.batch(name="Equal names")
    for content in (b"one", b"two"):
        client.finalize(client.uploaded(content, 10, batch_id=batch, name="same.txt"))
    folder = client.server.files_dir / "Equal names"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "same.txt": b"one",
        "same (2).txt": b"two",
    }


def test_finalizing_an_aborted_session_is_409(client: Doorito) -> None:
    session = client.uploaded(b"abc", 2)
    client.cancel(session)
    answer = client.finalize(session)
    assert (answer.status_code, answer.json()["status"]) == (409, "aborted")


def test_parts_and_the_final_file_are_streamed_with_flat_memory(tmp_path: Path) -> None:
    block = random.Random(3).randbytes(MIB)
    with ServerProcess(tmp_path) as server, Doorito(server, server.token) as client:
        client.finalize(client.uploaded(block, MIB))
        before = peak_mib(server.pid)
        session = client.session(160 * MIB, 40 * MIB)
        for number in range(1, 5):
            assert client.put(session, number, iter([block] * 40)).status_code == 200
        answer = client.finalize(session)
        grown = peak_mib(server.pid) - before
    assert answer.json()["file"]["sha256"] == hashlib.sha256(block * 160).hexdigest()
    assert grown < 32


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
