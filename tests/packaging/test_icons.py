"""The icons of Windows and macOS show what resources/icons/uphaul.svg shows, in every size that these systems ask for."""

import os
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.IcnsImagePlugin import IcnsImageFile
from PySide6.QtWidgets import QApplication

from tests.support.command_line import ROOT

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

sys.path.append(str(ROOT / "packaging"))
from draw_icons import ICNS_SIZES, ICO_SIZES, MACOS, WINDOWS, drawn


def pictures(path: Path) -> dict[int, Image.Image]:
    """All pictures of an icon file by their width in pixels."""
    with Image.open(path) as icon:
        inside = icon.icns if isinstance(icon, IcnsImageFile) else icon.ico
        sizes = inside.itersizes() if isinstance(icon, IcnsImageFile) else inside.sizes()
        found = [inside.getimage(size).convert("RGBA") for size in sizes]
    return {picture.width: picture for picture in found}


@pytest.mark.parametrize("path, sizes", [(WINDOWS, ICO_SIZES), (MACOS, ICNS_SIZES)], ids=["ico", "icns"])
def test_each_size_shows_the_picture(qapp: QApplication, path: Path, sizes: tuple[int, ...]) -> None:
    found = pictures(path)
    wanted = {size: Image.open(BytesIO(drawn(size))).convert("RGBA") for size in found}
    apart = {
        size: max(ImageStat.Stat(ImageChops.difference(found[size], wanted[size])).mean) for size in found
    }
    too_far = {size for size, difference in apart.items() if difference > 2}
    assert (set(found), too_far) == (set(sizes), set())
