"""Bytes stream: the memory of the server does not grow with the file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ServerProcess
from tests.support.tus import TusClient

MIB = 1024 * 1024


def peak_mib(pid: int) -> float:
    """The most memory the process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_half_a_gibibyte_streams_through_flat_memory(tmp_path: Path) -> None:
    block = bytes(range(256)) * 4096
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        for _ in range(512):
            digest.update(block)
            yield block

    with ServerProcess(tmp_path) as server, TusClient(server) as tus:
        tus.created(2 * MIB, bytes(2 * MIB), filename="warm-up")
        before = peak_mib(server.pid)
        location = tus.created(512 * MIB, filename="large")
        answer = tus.patch(location, 0, blocks(), {"Content-Length": str(512 * MIB)})
        growth = peak_mib(server.pid) - before
        assert (answer.headers["Upload-SHA256"], growth < 64) == (digest.hexdigest(), True)
        (server.files_dir / "large").unlink()
