"""What the tests of the look share: a theme that leaves no trace, and eyes that count colours in a picture."""

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QWidget

from ui.theme import Theme

Count = Callable[[QWidget, QColor], int]


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    """A light theme; whatever a test chose, the next one starts from the system's scheme."""
    theme = Theme(qapp, "light")
    yield theme
    theme.choose("system")
    theme.disconnect(theme)
    theme.setParent(None)
    theme.deleteLater()
    qapp.setStyleSheet("")
    qapp.styleHints().setColorScheme(Qt.ColorScheme.Unknown)


@pytest.fixture
def count_pixels() -> Count:
    """Count the pixels of a rendered widget that have a colour, give or take what antialiasing does."""

    def count(widget: QWidget, colour: QColor) -> int:
        return sum(near(pixel, colour) for pixel in pixels(widget.grab().toImage()))

    return count


def pixels(image: QImage) -> Iterator[QColor]:
    """Yield every pixel, row by row."""
    for y in range(image.height()):
        for x in range(image.width()):
            yield image.pixelColor(x, y)


def near(one: QColor, other: QColor, tolerance: int = 6) -> bool:
    """Whether two colours look the same."""
    pairs = ((one.red(), other.red()), (one.green(), other.green()), (one.blue(), other.blue()))
    return all(abs(a - b) <= tolerance for a, b in pairs)
