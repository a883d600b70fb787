"""Each pretended original is found out at its own address, from the address alone."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from app.remote.detect import detect
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_server import FakeDoorito
from tests.support.vuemantics_server import FakeVuemantics


@pytest.mark.parametrize(
    "start, dialect",
    [
        (lambda: FakeVuemantics(time.time), "vuemantics"),
        (lambda: FakeDirectDrive(Generation.X), "directdrive"),
        (lambda: FakeDirectDrive(Generation.OLD), "directdrive"),
        (FakeHub, "cell_segmentation_hub"),
        (FakeDoorito, "doorito"),
        (FakeDooritoForm, "doorito_form"),
    ],
)
async def test_the_originals_are_found_out(
    start: Callable[[], AbstractAsyncContextManager[Any]], dialect: str
) -> None:
    async with start() as fake:
        found = await detect(fake.url)
        assert (found.dialect, found.url) == (dialect, fake.url)
