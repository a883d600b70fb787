"""The server whose processing waits while there is a file `hold` in DATA: `python -m tests.support.held_server`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from app.server.api import mount_all
from app.server.api.room import Api
from app.server.command import add_arguments, run
from app.server.core import Core
from app.server.jobs import INSPECT
from app.server.processors import inspect
from app.server.work import Work


def wait_and_inspect(work: Work) -> Mapping[str, Any]:
    """The true processor behind a door."""
    ticks = 0
    while (work.storage.parts_dir.parent / "hold").exists():
        ticks += 1
        work.progress(ticks % 50, f"held {ticks}")
        time.sleep(0.01)
    return inspect(work)


def mount(core: Core) -> list[Api]:
    """Every API, with that processor."""
    core.processors[INSPECT] = wait_and_inspect
    return mount_all(core)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args(), mount=mount))
