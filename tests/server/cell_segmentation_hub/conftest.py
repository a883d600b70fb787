"""A real server for the stories of this room; one that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ServerProcess


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server without rate limits."""
    with ServerProcess(tmp_path / "data", "--rate-limits", "off") as running:
        yield running
