"""The server whose partials are opened only while there is no file `hold` in DATA: `python -m tests.support.slow_open_server`.

It makes `opening` there when it wants to, and `opened` once it has.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from app.server import appending
from app.server.api import mount_all
from app.server.command import add_arguments, run
from app.server.partial import Partial


class SlowPartial(Partial):
    """Opens behind a door."""

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Partial:
        """Wait, and open."""
        data = path.parent.parent
        (data / "opening").touch()
        while (data / "hold").exists():
            time.sleep(0.01)
        found = super().open(path, create=create)
        (data / "opened").touch()
        return found


if __name__ == "__main__":
    vars(appending)["Partial"] = SlowPartial
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args(), mount=mount_all))
