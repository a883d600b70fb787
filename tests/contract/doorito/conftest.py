"""Pretended originals for each test, and a real server of ours for the tests of a module."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_sender import Courier, open_courier
from tests.support.doorito_server import FakeDoorito
from tests.support.server import ServerProcess

CHUNK_BYTES = 1000


@pytest.fixture
async def fake() -> AsyncIterator[FakeDoorito]:
    """A server with sessions, whose chunks are small."""
    async with FakeDoorito(CHUNK_BYTES) as running:
        yield running


@pytest.fixture
async def courier(fake: FakeDoorito) -> AsyncIterator[Courier]:
    """An account at it."""
    async with open_courier(fake.url, fake.token) as opened:
        yield opened


@pytest.fixture
async def form() -> AsyncIterator[FakeDooritoForm]:
    """A server of today's code."""
    async with FakeDooritoForm() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of ours that has nothing to complain about in the end."""
    with ServerProcess(tmp_path_factory.mktemp("doorito"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []
