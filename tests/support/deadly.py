"""A processor that does what a file's name says to the process it runs in. Light: a helper imports it at each start."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.server.processors import inspect
from app.server.work import Work

HANG_SECONDS = 3600
LOG = "helpers.log"


def _sleep() -> None:
    time.sleep(HANG_SECONDS)


def _sleep_deaf() -> None:
    """As in a C library: no Python code runs in the main thread, whatever signal comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    time.sleep(HANG_SECONDS)


def _hold_everything() -> None:
    """As in a C library that does not let go of the interpreter: no Python code runs at all."""
    sum(itertools.repeat(0))


def _die(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _eat_memory() -> None:
    bytearray(8 * 1024**3)


def _chat() -> None:
    """As a C library that prints, and Python code that does."""
    os.write(1, b"said by a library\n")
    print("said by a processor", flush=True)


ACTS: Mapping[str, Callable[[], None]] = {
    "sleep": _sleep,
    "deaf": _sleep_deaf,
    "stuck": _hold_everything,
    "crash": _die(signal.SIGSEGV),
    "killed": _die(signal.SIGKILL),
    "exit": lambda: os._exit(7),
    "eat": _eat_memory,
    "chat": _chat,
}


def act(work: Work) -> Mapping[str, Any]:
    """Log what is begun, by which process, and how often; do it; then inspect. What needs to tidy up logs that it did."""
    assert work.file is not None
    name, path = Path(work.file.filename).stem, work.storage.parts_dir.parent / LOG
    with open(path, "a", encoding="utf-8") as log:
        log.write(f"{name} {os.getpid()}\n")
    try:
        if name != "once":
            ACTS.get(name, lambda: None)()
        elif work.job.attempts == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
    finally:
        if name == "sleep":
            with open(path, "a", encoding="utf-8") as log:
                log.write(f"tidied {os.getpid()}\n")
    return inspect(work)
