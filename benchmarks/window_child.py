"""A child of the window benchmark: the whole product on an installation, with a stethoscope; prints JSON and leaves."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

os.environ["QT_API"] = "pyside6"  # before qasync, as in the product

from PySide6.QtWidgets import QApplication

from app.domain.batch import BatchView
from app.domain.state import RUNNING
from benchmarks.heartbeat import Heartbeat, PaintTimes, spread
from benchmarks.support import places_in
from ui import main as product
from ui.loop import Loop
from ui.one_window import Letter, OneWindow
from ui.views.main_window import MainWindow
from ui.views.table import TableView

READY_S = 60.0
SETTLE_S = 2.0

T = TypeVar("T")


async def listen(
    app: QApplication, painted: PaintTimes, seconds: float, rows: int, running: int
) -> dict[str, Any]:
    """Wait until *rows* are shown and *running* transfers run, settle, and measure for *seconds*."""
    window = await _until(lambda: next((w for w in app.topLevelWidgets() if isinstance(w, MainWindow)), None))
    await _until(lambda: window.files.model.rowCount() == rows)
    await _until(lambda: _running(_batch(window)) >= running)
    await asyncio.sleep(SETTLE_S)
    heart = Heartbeat()
    painted.taken_ms.clear()
    done_bytes, began = _batch(window).done_bytes, time.perf_counter()
    heart.start()
    await asyncio.sleep(seconds)
    gaps, took = heart.stop(), time.perf_counter() - began
    return {
        "gap_ms": spread(gaps),
        "paint_ms": spread(painted.taken_ms.get("files", [])),
        "mb_per_s": (_batch(window).done_bytes - done_bytes) / took / 1e6,
        "running": _running(_batch(window)),
    }


def _batch(window: MainWindow) -> BatchView:
    return next(iter(window.batches.rows()))


def _running(batch: BatchView) -> int:
    return sum(batch.files[state] for state in RUNNING)


async def _until(look: Callable[[], T | None]) -> T:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + READY_S
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise SystemExit("what was to be measured did not begin")
        await asyncio.sleep(0.05)
    return seen


async def whole(app: QApplication, painted: PaintTimes, options: argparse.Namespace) -> dict[str, Any]:
    """Live as the product does, be listened to, and leave as at the end of a session."""
    places = places_in(options.home)
    one_window = OneWindow(places.window_dir)
    one_window.enter(Letter())
    life = asyncio.ensure_future(product.live(app, places, [], one_window, hidden=False))
    try:
        return await listen(app, painted, options.seconds, options.rows, options.running)
    finally:
        signal.raise_signal(signal.SIGTERM)
        await life


def main() -> None:
    """Run the child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="what UPHAUL_HOME would be")
    parser.add_argument("--seconds", type=float, required=True, help="how long to listen")
    parser.add_argument("--rows", type=int, required=True, help="rows to wait for")
    parser.add_argument("--running", type=int, required=True, help="running transfers to wait for")
    options = parser.parse_args()
    sys.setswitchinterval(product.SWITCH_S)  # what product.run() does before it lives
    painted = PaintTimes(TableView)
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    with asyncio.Runner(loop_factory=lambda: Loop(app)) as runner:
        print(json.dumps(runner.run(whole(app, painted, options))))


if __name__ == "__main__":
    main()
