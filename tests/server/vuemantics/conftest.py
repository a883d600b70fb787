"""Real servers for the stories of vuemantics: one a module, and one whose processing can be held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ServerProcess
from tests.support.vuemantics_client import VuemanticsClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that every test of a module may use. It must not have complained at the end."""
    with ServerProcess(tmp_path_factory.mktemp("server"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert [line for line in running.log.splitlines() if "level=INFO" not in line] == []


@pytest.fixture
def client(server: ServerProcess) -> Iterator[VuemanticsClient]:
    """A new user of it."""
    with VuemanticsClient(server) as one:
        yield one


@pytest.fixture
def held(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of its own that processes nothing as long as DATA/hold is there."""
    (tmp_path / "hold").touch()
    with ServerProcess(tmp_path, "--rate-limits", "off", module="tests.support.held_server") as running:
        yield running


@pytest.fixture
def patient(held: ServerProcess) -> Iterator[VuemanticsClient]:
    """A user of the held server."""
    with VuemanticsClient(held) as one:
        yield one
