"""What one upload may bring: images, or one video; the refusals are the contract's, sentence by sentence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from app.server.api.cell_segmentation_hub.envelope import generic, invalid
from app.server.appending import Body
from app.server.multipart import Part
from app.server.problems import Problem

_IMAGE_TYPES = frozenset(
    f"image/{one}" for one in "png jpeg jpg webp bmp x-ms-bmp x-bmp tiff tif gif".split()
)
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tiff", ".tif", ".webp", ".gif"})
_VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".nd2", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Intake:
    """The parts of a request that are files, and how many and how long they may be."""

    field: str
    most_files: int
    most_bytes: int
    is_video: bool

    def check(self, part: Part, name: str, number: int) -> None:
        """Raise the refusal of the file *name*, before which *number* others came."""
        if part.name != self.field:
            raise invalid(**{self.field: f"Neočekávané pole souboru: {part.name}"})
        if number >= self.most_files:
            most = f"Maximálně lze nahrát {self.most_files} souborů najednou"
            raise invalid(**{self.field: f"Příliš mnoho souborů. {most}"})
        suffix = PurePosixPath(name).suffix.casefold()
        if self.is_video:
            if suffix not in _VIDEO_SUFFIXES:
                raise generic(f"Not a recognised video format: {suffix or name}")
        elif type_of(part) not in _IMAGE_TYPES:
            raise invalid(images=f"Invalid file type: {type_of(part) or 'none'}")
        elif suffix not in _IMAGE_SUFFIXES:
            raise invalid(images=f"Invalid file extension: {name}")

    def require_some(self, number: int) -> None:
        """Raise the refusal of a request without files."""
        if number == 0:
            missing = "No file uploaded" if self.is_video else "Je nutné vybrat alespoň jeden soubor"
            raise generic(missing) if self.is_video else Problem("invalid_request", missing)

    def limited(self, body: Body) -> Body:
        """Return *body*, which raises the refusal as soon as it is too long."""
        return _Limited(body, self)


IMAGES = Intake("images", 100, 20 * 1024**2, is_video=False)
VIDEO = Intake("video", 1, 100 * 1024**3, is_video=True)


class _Limited:
    def __init__(self, body: Body, intake: Intake) -> None:
        self._body, self._intake, self._room_bytes = body, intake, intake.most_bytes

    async def read(self) -> bytes | None:
        chunk = await self._body.read()
        self._room_bytes -= len(chunk or b"")
        if self._room_bytes < 0:
            most = f"{self._intake.most_bytes // 1024**2} MB"
            raise invalid(**{self._intake.field: f"Soubor je příliš velký. Maximální velikost: {most}"})
        return chunk


def type_of(part: Part) -> str:
    """Return the content type that the sender gave a part, without its parameters."""
    return part.content_type.partition(";")[0].strip().casefold()


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a picture's inside; nothing of what Pillow cannot read."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None


def look(path: Path) -> Picture:
    """Look at a stored file. Blocks: call it in a thread."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return Picture(picture.width, picture.height, getattr(picture, "n_frames", 1))
    except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
        return Picture()
