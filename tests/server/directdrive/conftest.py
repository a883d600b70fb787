"""A server without rate limits for the stories of DirectDrive, two users and nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.directdrive_client import DirectDrive
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that every test of a module may use. It must not have complained at the end."""
    with ServerProcess(tmp_path_factory.mktemp("directdrive"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture
async def anna(server: ServerProcess) -> AsyncIterator[DirectDrive]:
    """A user."""
    async with await DirectDrive.registered(server) as client:
        yield client


@pytest.fixture
async def ben(server: ServerProcess) -> AsyncIterator[DirectDrive]:
    """Another user."""
    async with await DirectDrive.registered(server) as client:
        yield client


@pytest.fixture
async def nobody(server: ServerProcess) -> AsyncIterator[DirectDrive]:
    """A client without a token."""
    async with DirectDrive(server) as client:
        yield client
