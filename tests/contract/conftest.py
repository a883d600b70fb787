"""One real server for the tests of a module, and an open batch for each test."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from app.remote.base import RemoteBatch
from tests.support.sender import Sender, open_sender
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has nothing to complain about in the end."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running
    complaints = [line for line in running.log.splitlines() if "level=INFO" not in line]
    assert complaints == []


@pytest.fixture
async def sender(server: ServerProcess) -> AsyncIterator[Sender]:
    """A connection straight to the server."""
    async with open_sender(server) as opened:
        yield opened


@pytest.fixture
async def batch(sender: Sender) -> RemoteBatch:
    """A batch of the test's own, whose folder has a name of its own."""
    return await sender.server.open_batch(uuid4().hex, uuid4().hex)
