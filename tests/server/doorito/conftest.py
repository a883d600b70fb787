"""A real server for the stories of Doorito, one a module, and a user of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.doorito_client import Doorito
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that every test of a module may use. It must not have complained at the end."""
    with ServerProcess(tmp_path_factory.mktemp("server"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Doorito]:
    """The user of the server's own token."""
    with Doorito(server, server.token) as one:
        yield one
