"""A home and a folder for each test of the command line, and a server elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Cli
from tests.support.server import ServerProcess


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    work = tmp_path / "work"
    work.mkdir()
    cli = Cli(tmp_path / "home", work)
    yield cli
    for process in cli.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "remote") as server:
        yield server
