"""A pretended original for each test, under the test's clock, an account at it, and a whole program before it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.remote.hubline import Pace
from tests.support.cell_segmentation_hub_sender import QUICK, Courier, open_courier, open_hub_house
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import TestClock
from tests.support.engine_house import House


@pytest.fixture
def clock() -> TestClock:
    """The time for server and client."""
    return TestClock(time.time())


@pytest.fixture
async def fake(clock: TestClock) -> AsyncIterator[FakeHub]:
    """The server."""
    async with FakeHub(clock.now) as running:
        yield running


@pytest.fixture
def pace() -> Pace:
    """How long the client waits; a test may say otherwise."""
    return QUICK


@pytest.fixture
async def courier(fake: FakeHub, clock: TestClock) -> AsyncIterator[Courier]:
    """An account at it."""
    async with open_courier(fake.url, fake.user, fake.password, fake.project, clock=clock) as opened:
        yield opened


@pytest.fixture
async def house(fake: FakeHub, clock: TestClock, pace: Pace, tmp_path: Path) -> AsyncIterator[House]:
    """A program whose only server it is."""
    async with open_hub_house(
        tmp_path / "home", fake.url, fake.user, fake.password, clock, pace=pace
    ) as opened:
        yield opened
