"""Draws the icon as PNG: `draw_icons.py SVG FOLDER SIZE…` writes FOLDER/SIZE.png. Run with the product's own Qt."""

import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

picture, folder, *sizes = sys.argv[1:]
application = QGuiApplication([])
for size in map(int, sizes):
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(picture).render(painter)
    painter.end()
    if not image.save(str(Path(folder, f"{size}.png"))):
        sys.exit(f"{size}.png could not be written")
