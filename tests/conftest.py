"""The policy of every test: silence. A stray log record or a thread left behind fails the test that caused it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

THREAD_GRACE_SECONDS = 5.0


@pytest.fixture(autouse=True)
def no_stray_log_records(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail on records at WARNING or above, unless the test cleared them (`caplog.clear()`) or is marked `expects_log`."""
    yield
    if request.node.get_closest_marker("expects_log"):
        return
    phases = [caplog.get_records(phase) for phase in ("setup", "call", "teardown")]
    stray = [record for records in phases for record in records if record.levelno >= logging.WARNING]
    if stray:
        lines = "\n".join(f"{record.levelname} {record.name}: {record.getMessage()}" for record in stray)
        pytest.fail(f"Log records that this test did not announce:\n{lines}", pytrace=False)


@pytest.fixture(autouse=True)
def no_leaked_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail when a thread that would keep the program alive outlives its test, unless it is marked `expects_threads`."""
    before = set(threading.enumerate())
    yield
    if request.node.get_closest_marker("expects_threads"):
        return
    deadline = time.monotonic() + THREAD_GRACE_SECONDS
    started_here = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in started_here:
        thread.join(max(0.0, deadline - time.monotonic()))
    leaked = [thread.name for thread in started_here if thread.is_alive()]
    if leaked:
        pytest.fail(f"Threads still running: {', '.join(leaked)}", pytrace=False)
