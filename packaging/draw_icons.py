"""Draws packaging/windows/uphaul.ico and packaging/macos/uphaul.icns from resources/icons/uphaul.svg, for the repository.

For developers, when the picture has changed: `.venv/bin/python packaging/draw_icons.py`. Building a package needs neither
Qt nor Pillow then; a test sees that both files still show the picture.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "resources" / "icons" / "uphaul.svg"
WINDOWS = ROOT / "packaging" / "windows" / "uphaul.ico"
MACOS = ROOT / "packaging" / "macos" / "uphaul.icns"
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 128, 256)
ICNS_SIZES = (32, 64, 128, 256, 512, 1024)


def drawn(size: int) -> bytes:
    """Return the picture as a PNG of *size* by *size* pixels."""
    from PySide6.QtCore import QBuffer, QIODevice
    from PySide6.QtGui import QImage, QImageWriter, QPainter
    from PySide6.QtSvg import QSvgRenderer

    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(PICTURE)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(image)
    return bytes(buffer.data().data())


def main() -> int:
    """Write both files."""
    from PIL import Image
    from PySide6.QtGui import QGuiApplication

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QGuiApplication([])
    for path, sizes in ((WINDOWS, ICO_SIZES), (MACOS, ICNS_SIZES)):
        pictures = [Image.open(BytesIO(drawn(size))).convert("RGBA") for size in sizes]
        pictures[-1].save(path, append_images=pictures[:-1], sizes=[(size, size) for size in sizes])
        print(path.relative_to(ROOT))
    del application
    return 0


if __name__ == "__main__":
    sys.exit(main())
