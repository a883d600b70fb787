"""Icons: SVG text from the resources, tinted from the palette, drawn sharp for the pixels it is shown on."""

from PySide6.QtCore import QByteArray, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

import resources

SIZES = (16, 18, 20, 24)
"""The sizes in device-independent pixels that icons are drawn for; others are scaled from the next larger."""
_DISABLED_OPACITY = 0.4
_LARGE = 40


class IconSet:
    """Draws icons and keeps what it drew: one entry an icon and colour (or size), a few hundred bytes each."""

    def __init__(self, ratio: float = 1.0) -> None:
        """Draw icons for screens of up to *ratio* device pixels a pixel (and for plain ones)."""
        self._ratios = sorted({1.0, max(1.0, ratio)})
        self._icons: dict[tuple[str, int], QIcon] = {}
        self._pixmaps: dict[tuple[str, int, int, float], QPixmap] = {}

    def icon(self, name: str, colour: QColor) -> QIcon:
        """Return the icon in *colour*, dimmed where it is disabled; raise FileNotFoundError for an unknown name."""
        key = (name, colour.rgba())
        if key not in self._icons:
            self._icons[key] = self._build(name, colour)
        return self._icons[key]

    def pixmap(self, name: str, size: int, colour: QColor, ratio: float) -> QPixmap:
        """Return the icon as a square of *size* device-independent pixels for a screen of *ratio*."""
        key = (name, size, colour.rgba(), ratio)
        if key not in self._pixmaps:
            self._pixmaps[key] = draw(name, size, colour, ratio)
        return self._pixmaps[key]

    def _build(self, name: str, colour: QColor) -> QIcon:
        icon = QIcon()
        for size in SIZES:
            for ratio in self._ratios:
                plain = self.pixmap(name, size, colour, ratio)
                icon.addPixmap(plain, QIcon.Mode.Normal)
                icon.addPixmap(plain, QIcon.Mode.Selected)  # else styles tint the selected row's icon
                icon.addPixmap(_dimmed(plain), QIcon.Mode.Disabled)
        return icon


def draw(name: str, size: int, colour: QColor, ratio: float) -> QPixmap:
    """Render the icon afresh; the colours of a picture that has its own (the app's) stay."""
    text = resources.icon_svg(name).replace("currentColor", colour.name())
    text = text.replace('stroke-width="2"', f'stroke-width="{1.75 if size < _LARGE else 1.25}"')
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(text.encode())).render(painter)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def _dimmed(pixmap: QPixmap) -> QPixmap:
    dimmed = QPixmap(pixmap.size())
    dimmed.setDevicePixelRatio(pixmap.devicePixelRatio())
    dimmed.fill(Qt.GlobalColor.transparent)
    painter = QPainter(dimmed)
    painter.setOpacity(_DISABLED_OPACITY)
    painter.drawPixmap(0, 0, pixmap)
    painter.end()
    return dimmed
