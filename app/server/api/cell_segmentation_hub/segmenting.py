"""The work of the queue: cells as bright areas by Otsu's threshold, row by row, so that a cancel is heard at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from app.server.runner import Work

MOST_AREAS = 10_000
_BRIGHT = re.compile(rb"\xff+")


class _Areas:
    """Runs of bright pixels, joined when they touch. An area is [pixels, left, top, right, bottom]."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._boxes: list[list[int]] = []
        self._above: list[tuple[int, int, int]] = []

    def add_row(self, y: int, row: bytes) -> None:
        """Take the next row; bright pixels are 255."""
        above, runs, first = self._above, [], 0
        for found in _BRIGHT.finditer(row):
            left, right = found.start(), found.end() - 1
            area = len(self._parents)
            self._parents.append(area)
            self._boxes.append([right - left + 1, left, y, right, y])
            while first < len(above) and above[first][1] < left:
                first += 1
            touching = first
            while touching < len(above) and above[touching][0] <= right:
                area = self._join(area, above[touching][2])
                touching += 1
            runs.append((left, right, area))
        self._above = runs

    def _root(self, area: int) -> int:
        while self._parents[area] != area:
            self._parents[area] = area = self._parents[self._parents[area]]
        return area

    def _join(self, one: int, other: int) -> int:
        one, other = sorted((self._root(one), self._root(other)))
        if one != other:
            self._parents[other] = one
            mine, gone = self._boxes[one], self._boxes[other]
            mine[0] += gone[0]
            mine[1:3] = [min(mine[1], gone[1]), min(mine[2], gone[2])]
            mine[3:5] = [max(mine[3], gone[3]), max(mine[4], gone[4])]
        return one

    def found(self) -> list[list[int]]:
        """Return all areas, the largest first."""
        roots = [box for area, box in enumerate(self._boxes) if self._parents[area] == area]
        return sorted(roots, reverse=True)


def otsu(histogram: Sequence[int]) -> int:
    """Return the grey value that parts dark from bright best: brighter than it is foreground."""
    total, weighted = sum(histogram), sum(grey * number for grey, number in enumerate(histogram))
    best, best_variance, dark, dark_weighted = 0, -1.0, 0, 0
    for grey, number in enumerate(histogram):
        dark += number
        dark_weighted += grey * number
        if dark in (0, total):
            continue
        distance = dark_weighted / dark - (weighted - dark_weighted) / (total - dark)
        variance = dark * (total - dark) * distance**2
        if variance > best_variance:
            best, best_variance = grey, variance
    return best


def segment(work: Work) -> Mapping[str, Any]:
    """Find the bright areas of an image; raises what Pillow raises for what it cannot read."""
    work.progress(0, "preprocessing")
    with Image.open(work.storage.stored_file(work.job.payload["stored_path"])) as picture:
        grey = picture.convert("L")
    threshold = otsu(grey.histogram())
    areas = _Areas()
    mask = grey.point([255 if value > threshold else 0 for value in range(256)])
    for y in range(mask.height):
        work.progress(5 + 90 * y // mask.height, "inference")
        areas.add_row(y, mask.crop((0, y, mask.width, y + 1)).tobytes())
    found = areas.found()
    named = [
        dict(zip(("area", "left", "top", "right", "bottom"), one, strict=True)) for one in found[:MOST_AREAS]
    ]
    return {"threshold": threshold, "polygon_count": len(found), "areas": named}
