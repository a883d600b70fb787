"""The server whose processor is deadly: `python -m tests.support.deadly_server`."""

from __future__ import annotations

import argparse
import sys

from app.server.api import mount_all
from app.server.api.room import Api
from app.server.command import add_arguments, run
from app.server.core import Core
from app.server.jobs import INSPECT
from tests.support.deadly import act


def mount(core: Core) -> list[Api]:
    """Every API, with that processor."""
    core.processors[INSPECT] = act
    return mount_all(core)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args(), mount=mount))
