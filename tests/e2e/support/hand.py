"""The hand: a real pointer and real keys on the suite's screen, by xdotool."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.support.desktop import Desktop

_MOVES = 20
_BETWEEN_MOVES_S = 0.03
_BEFORE_RELEASE_S = 0.3


@dataclass(frozen=True, slots=True)
class Rect:
    """A place on the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def middle(self) -> tuple[int, int]:
        """The point to press."""
        return self.x + self.width // 2, self.y + self.height // 2


@dataclass(frozen=True, slots=True)
class Hand:
    """Moves, presses and types as a person does. Pauses are part of the gesture: nothing is waited for with them."""

    desktop: Desktop

    def move(self, x: int, y: int) -> None:
        """Put the pointer at a point of the screen."""
        self.desktop.run("xdotool", "mousemove", str(x), str(y))

    def click(self, place: Rect, button: int = 1, *, holding: str | None = None) -> None:
        """Click the middle of *place*, with a key (``ctrl``, ``shift``) held down if asked."""
        x, y = place.middle
        keys = (["keydown", holding], ["keyup", holding]) if holding else ([], [])
        self.desktop.run("xdotool", "mousemove", str(x), str(y), *keys[0], "click", str(button), *keys[1])

    def press(self, keys: str) -> None:
        """Press a combination such as ``ctrl+q`` in the focused window."""
        self.desktop.run("xdotool", "key", "--clearmodifiers", keys)

    def type(self, text: str) -> None:
        """Type *text* into the field that has the keyboard."""
        self.desktop.run("xdotool", "type", "--delay", "15", "--", text)

    def drag(self, start: Rect, goal: Rect, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Drag from *start* to *goal*; *meanwhile* runs when the pointer rests over the goal, before the release."""
        with self.dragging(start, goal):
            meanwhile()

    @contextmanager
    def dragging(self, start: Rect, goal: Rect) -> Iterator[None]:
        """Drag to *goal* and hold it there while the body runs; release at its end, however it ends."""
        (x1, y1), (x2, y2) = start.middle, goal.middle
        self.move(x1, y1)
        self.desktop.run("xdotool", "mousedown", "1")
        try:
            for step in range(1, _MOVES + 1):
                time.sleep(_BETWEEN_MOVES_S)
                self.move(x1 + (x2 - x1) * step // _MOVES, y1 + (y2 - y1) * step // _MOVES)
            time.sleep(_BEFORE_RELEASE_S)
            yield
        finally:
            self.desktop.run("xdotool", "mouseup", "1")
