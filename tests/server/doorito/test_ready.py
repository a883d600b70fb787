"""What `/ready` says of a database that is locked, gone, read-only or another file, and how it recovers."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process is in the middle of a write."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def removed(database: Path) -> Iterator[None]:
    """Somebody has moved it away."""
    away = database.rename(database.with_suffix(".away"))
    yield
    away.rename(database)


@contextmanager
def read_only(database: Path) -> Iterator[None]:
    """Nobody may write it."""
    os.chmod(database, 0o444)
    yield
    os.chmod(database, 0o600)


def ready(server: ServerProcess) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{server.url}/doorito/ready", timeout=10)
    return answer.status_code, answer.json()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
@pytest.mark.parametrize(
    "harm,why",
    [(locked, "is locked by another process"), (removed, "cannot be opened"), (read_only, "is read-only")],
)
def test_a_database_that_takes_nothing_is_503_with_the_reason_and_200_when_it_is_back(
    tmp_path: Path, harm: Callable[[Path], AbstractContextManager[None]], why: str
) -> None:
    with ServerProcess(tmp_path, module="tests.support.humble_server") as server:
        with harm(server.database_path):
            told = [ready(server) for _ in range(2)]
        told.append(ready(server))
    unavailable = {"status": "unavailable", "detail": f"The database {why}."}
    assert told == [(503, unavailable)] * 2 + [(200, {"status": "ok"})]


def test_something_else_in_its_place_is_503(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.database_path.unlink()
        server.database_path.write_bytes(b"This is no database." * 1000)
        told = ready(server)
    assert told == (503, {"status": "unavailable", "detail": "The database was replaced by another file."})


def test_a_token_does_not_make_it_wait_for_the_database(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, removed(server.database_path):
        headers = {"Authorization": "Bearer of-somebody-whom-only-the-database-knows"}
        told = [
            httpx.get(f"{server.url}/doorito/{path}", headers=headers).status_code
            for path in ("health", "ready")
        ]
    assert told == [200, 503]
