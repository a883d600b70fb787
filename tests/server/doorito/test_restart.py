"""A server that dies: parts that were acknowledged are there, and a file is assembled once. PEP 0019: health."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.consistency import contradictions
from tests.support.doorito_client import Doorito, HeldPart, parts_on_disk
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

MIB = 1024 * 1024


def test_parts_survive_kill_9_and_the_session_goes_on(tmp_path: Path) -> None:
    content = random.Random(5).randbytes(3 * MIB)
    with ServerProcess(tmp_path) as server:
        with Doorito(server, server.token) as client:
            batch = client.batch()
            session = client.session(len(content), MIB, batch_id=batch)
            for number in (1, 3):
                client.put(session, number, content[(number - 1) * MIB : number * MIB])
            with HeldPart(client, session, 2, content[MIB : MIB + 10], content[MIB + 10 : 2 * MIB]) as held:
                eventually(lambda: len(parts_on_disk(tmp_path)), lambda number: number == 4)
                server.kill()
                cut = held.answer()
        server.restart()
        with Doorito(server, server.token) as client:
            resumed = client.status(session)
            client.put(session, 2, content[MIB : 2 * MIB])
            stored = client.finalize(session).json()["file"]
            seen = (client.counts(batch), parts_on_disk(tmp_path), contradictions(server))
    assert (type(cut), resumed["received_parts"], stored["sha256"]) == (
        str,
        [1, 3],
        hashlib.sha256(content).hexdigest(),
    )
    assert seen == ((1, 1, 0, 0), [], [])


def test_a_server_killed_while_it_assembles_finishes_when_it_is_asked_again(tmp_path: Path) -> None:
    content = random.Random(6).randbytes(MIB) * 192
    with ServerProcess(tmp_path) as server:
        with Doorito(server, server.token) as client, ThreadPoolExecutor(1) as pool:
            batch = client.batch()
            session = client.uploaded(content, 16 * MIB, batch_id=batch)
            end = pool.submit(client.finalize, session)
            eventually(lambda: size_of(server.partials_dir) > 0 or end.done(), bool)
            server.kill()
            assert end.exception(10) is not None or end.result().status_code == 200
        server.restart()
        with Doorito(server, server.token) as client:
            stored = client.finalize(session).json()["file"]
            seen = (client.counts(batch), parts_on_disk(tmp_path), contradictions(server))
    assert stored["sha256"] == hashlib.sha256(content).hexdigest()
    assert seen == ((1, 1, 0, 0), [], [])


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_parts_of_a_session_that_ended_meanwhile_are_removed_at_the_next_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with Doorito(server, server.token) as client:
            kept = client.uploaded(b"abc", 2)
            client.cancel(gone := client.uploaded(b"abc", 2))
        server.kill()
        (tmp_path / "parts" / gone).mkdir()
        (tmp_path / "parts" / gone / "1.left-behind").write_bytes(b"ab")
        server.restart()
        left = {one.split("/")[0] for one in parts_on_disk(tmp_path)}
    assert left == {kept}


def test_health_is_200_without_a_user(server: ServerProcess) -> None:
    answers = [httpx.get(f"{server.url}/doorito/{path}") for path in ("health", "ready")]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {"status": "ok"})] * 2


@pytest.mark.parametrize("harm", ["full", "gone"])
def test_readiness_fails_when_storage_is_down(tmp_path: Path, harm: str) -> None:
    options = ("--min-free", "9999T") if harm == "full" else ()
    with ServerProcess(tmp_path, *options) as server:
        if harm == "gone":
            server.partials_dir.rename(tmp_path / "elsewhere")
        seen = [httpx.get(f"{server.url}/doorito/{path}").status_code for path in ("health", "ready")]
    assert seen == [200, 503]
