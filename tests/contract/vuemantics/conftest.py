"""A pretended original for each test, under the test's clock, and an account at it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.vuemantics_sender import Clock, Courier, open_courier
from tests.support.vuemantics_server import FakeVuemantics


@pytest.fixture
def clock() -> Clock:
    """The time for server and client."""
    return Clock()


@pytest.fixture
async def fake(clock: Clock) -> AsyncIterator[FakeVuemantics]:
    """The server."""
    async with FakeVuemantics(clock) as running:
        yield running


@pytest.fixture
async def courier(fake: FakeVuemantics, clock: Clock) -> AsyncIterator[Courier]:
    """An account at it."""
    async with open_courier(fake.url, fake.user, fake.password, now=clock) as opened:
        yield opened
