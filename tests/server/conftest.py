"""A real server for the tests of this folder, one a module, and a client for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import ServerProcess
from tests.support.tus import TusClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that every test of a module may use, but not break. It must not have complained at the end."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running
        running.stop()
    complaints = [line for line in running.log.splitlines() if "level=INFO" not in line]
    assert complaints == []


@pytest.fixture
def tus(server: ServerProcess) -> Iterator[TusClient]:
    """A client of that server."""
    with TusClient(server) as client:
        yield client
