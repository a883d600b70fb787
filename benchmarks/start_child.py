"""A child of the start benchmark: `uphaul` as a person starts it; prints when its tables were first painted, and ends."""

import json
import signal
import sys
import time

from PySide6.QtCore import QTimer

from benchmarks.heartbeat import Heartbeat, PaintTimes, spread
from ui.__main__ import main as uphaul
from ui.views.table import TableView


class Watch:
    """Notes the seconds since *began* (time.perf_counter, which all processes of a machine share on Linux)."""

    def __init__(self, began: float, listen_s: float) -> None:
        self._began = began
        self._listen_s = listen_s
        self._heart: Heartbeat | None = None
        self.told: dict[str, object] = {}

    def painted(self, name: str) -> None:
        """A table has shown its first rows. Usable is the window once its event loop has turned after that."""
        self.told[f"{name}_painted_s"] = time.perf_counter() - self._began
        if name == "batches":
            QTimer.singleShot(0, self._usable)

    def _usable(self) -> None:
        self.told["usable_s"] = time.perf_counter() - self._began
        self._heart = Heartbeat()
        self._heart.start()
        QTimer.singleShot(int(self._listen_s * 1000), self._leave)

    def _leave(self) -> None:
        assert self._heart is not None
        self.told["gap_ms"] = spread(self._heart.stop())
        signal.raise_signal(signal.SIGTERM)


def main() -> None:
    """Run the child: the arguments are when its parent started it, and for how long to listen after that."""
    watch = Watch(float(sys.argv[1]), float(sys.argv[2]))
    PaintTimes(TableView, watch.painted)
    uphaul([])
    print(json.dumps(watch.told))


if __name__ == "__main__":
    main()
