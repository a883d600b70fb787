"""Other programs on the desktop: one to drag from, one that owns the clipboard."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.support.child import Child
from tests.e2e.support.desktop import Desktop
from tests.e2e.support.hand import Rect
from tests.e2e.support.wait import until

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Stranger:
    """The running program, the place to press, and the ends of the drags that began there."""

    child: Child
    place: Rect

    def dropped(self) -> str:
        """Return the action that the target accepted for the last drag (``CopyAction``), once the drag is over."""
        ended = until(lambda: _said(self.child, "dropped"), "the drag to end")
        return str(ended[-1]["action"])


@contextmanager
def drag_source(desktop: Desktop, addresses: Sequence[str | Path]) -> Iterator[Stranger]:
    """Show a window that offers *addresses* (paths or URLs) to whoever drags from it.

    Stay in the context until the target has what it wants: it asks the stranger for it after the drop.
    """
    yield from _running(desktop, "drag", addresses)


@contextmanager
def clipboard(desktop: Desktop, addresses: Sequence[str | Path]) -> Iterator[Stranger]:
    """Own the clipboard with *addresses*, as a file manager does after Ctrl+C."""
    yield from _running(desktop, "clipboard", addresses)


def _running(desktop: Desktop, mode: str, addresses: Sequence[str | Path]) -> Iterator[Stranger]:
    command = [sys.executable, "-m", "tests.e2e.support.drag_source", mode, *map(str, addresses)]
    log = desktop.folder / "stranger.log"
    log.unlink(missing_ok=True)
    with Child(command, {**desktop.env, "PYTHONPATH": str(ROOT)}, log) as child:
        ready = until(lambda: _said(child, "ready"), "the other program's window")[0]
        yield Stranger(child, Rect(*ready["place"]))


def _said(child: Child, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in child.words().splitlines() if line.startswith("{")]
    return [line for line in lines if line["what"] == what]
