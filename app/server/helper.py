"""The helper process: works at one stored file after another, and ends with its standard input.

    server ── {data, memory_bytes, …}, then one order a job ──► standard input
    server ◄── {percent, stage}…, then {result} or {error} ──── standard output

Each frame is JSON after its length (4 bytes, big-endian). What may hang or crash does so in here: helpers.py sees it
from outside. `python -m app.server.helper`, or `uphaul serve helper` where the program is frozen.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, BinaryIO

from app.server.storage import Storage
from app.server.work import Work, find, records

LENGTH_BYTES = 4
GRACE_SECONDS = 0.25
"""How long the work at hand may tidy up when standard input has closed."""

Frame = Mapping[str, Any]


class _Over(BaseException):
    """Standard input has closed: nobody wants what is being made here."""


def packed(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    body = json.dumps(frame).encode()
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def main() -> int:
    """Work until standard input closes."""
    source, target = _pipes()
    frames: SimpleQueue[Frame] = SimpleQueue()
    with suppress(_Over, BrokenPipeError):
        _heed_signals()
        threading.Thread(target=_listen, args=(source, frames), daemon=True).start()
        terms = frames.get()
        _limit_memory(terms["memory_bytes"])
        storage = Storage(Path(terms["data"]), min_free_bytes=0)
        alarm_seconds = math.ceil(terms["stall_seconds"]) + 1

        def tell(frame: Frame) -> None:
            target.write(packed(frame))
            target.flush()
            _set_alarm(alarm_seconds)

        while True:
            order = frames.get()
            _set_alarm(alarm_seconds)
            tell(_work_off(order, storage, tell))
            _set_alarm(0)
    return 0


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the frames; whoever prints in here writes to standard error."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return source, target


def _heed_signals() -> None:
    """A Ctrl-C, or a service manager's SIGTERM to all of a group, is the server's affair: it closes our input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGUSR1, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise _Over


def _listen(source: BinaryIO, frames: SimpleQueue[Frame]) -> None:
    """Hand frames on. At their end call the main thread out of whatever it does, and do not rely on it."""
    with suppress(ValueError):  # the last frame of a server that was killed may be half a frame
        while head := source.read(LENGTH_BYTES):
            frames.put(json.loads(source.read(int.from_bytes(head, "big"))))
    if sys.platform != "win32":
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
    time.sleep(GRACE_SECONDS)
    os._exit(0)


def _limit_memory(most_bytes: int) -> None:
    """Let Python and the image library run out of memory before the machine does, where the system can."""
    if sys.platform != "win32":
        import resource

        with suppress(ValueError, OSError):  # macOS may refuse, or the system allows less already
            resource.setrlimit(resource.RLIMIT_AS, (most_bytes, resource.RLIM_INFINITY))


def _set_alarm(seconds: int) -> None:
    """Let the system end us if we get stuck where no thread runs, and the server that would see it is dead."""
    if sys.platform != "win32":
        signal.alarm(seconds)


def _work_off(order: Frame, storage: Storage, tell: Callable[[Frame], None]) -> Frame:
    job, file = records(order)

    def progress(percent: int, stage: str | None) -> None:
        try:
            tell({"percent": percent, "stage": stage})
        except BrokenPipeError:
            raise _Over from None  # a processor takes an OSError for its own

    try:
        result = dict(find(order["function"])(Work(job, file, storage, progress)))
        json.dumps(result)
        return {"result": result}
    except MemoryError:
        return {"error": "There is not enough memory for this file.", "trace": ""}
    except Exception as error:
        return {"error": str(error) or type(error).__name__, "trace": traceback.format_exc()}


if __name__ == "__main__":
    sys.exit(main())
