"""A real server of ours for the tests of a module, an account there for each test, and the fakes of the originals."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest

from tests.support.directdrive_sender import PASSWORD, Courier, open_courier
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has nothing to complain about in the end."""
    with ServerProcess(tmp_path_factory.mktemp("directdrive"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture(scope="module")
def user(server: ServerProcess) -> str:
    """A user of it: a sign-in costs half a second, so there is one a module."""
    email = f"{uuid4().hex}@example.org"
    body = {"email": email, "password": PASSWORD}
    answer = httpx.post(f"{server.url}/directdrive/api/v1/auth/register", json=body, trust_env=False)
    assert answer.status_code == 200
    return email


@pytest.fixture
async def courier(server: ServerProcess, user: str) -> AsyncIterator[Courier]:
    """A new line of that user, signed in by name and password."""
    async with open_courier(f"{server.url}/directdrive", user, PASSWORD) as opened:
        yield opened


@pytest.fixture
async def nobody(server: ServerProcess) -> AsyncIterator[Courier]:
    """A sender without a name."""
    async with open_courier(f"{server.url}/directdrive") as opened:
        yield opened


@pytest.fixture(params=list(Generation), ids=lambda generation: generation.name)
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeDirectDrive]:
    """The server of each generation."""
    async with FakeDirectDrive(request.param) as running:
        yield running


@pytest.fixture
async def newest() -> AsyncIterator[FakeDirectDrive]:
    """The newest server."""
    async with FakeDirectDrive() as running:
        yield running


@pytest.fixture
async def oldest() -> AsyncIterator[FakeDirectDrive]:
    """The older server."""
    async with FakeDirectDrive(Generation.OLD) as running:
        yield running
