"""Folders to upload: a mixed one with every kind of name that has ever hurt somebody, and plain big ones."""

import hashlib
import random
import unicodedata
from pathlib import Path

_LONG_NAME = "ü" * 125 + ".long"
_NASTY_NAMES = (
    "zero bytes",
    "two\nlines.txt",
    "тест 测试 🎉.txt",
    unicodedata.normalize("NFD", "décomposé é.txt"),
    _LONG_NAME,
    " leading and trailing ",
    "-rf",
    "100% #1?.txt",
    '"quoted" & <angled>.xml',
    ".hidden",
)


def mixed_folder(folder: Path, files: int = 300) -> Path:
    """Fill *folder* with *files* files: nasty names, empty ones, nested ones, a few MiB in one; the same each time."""
    chance = random.Random(4)
    for number in range(files):
        if number < len(_NASTY_NAMES):
            place = folder / _NASTY_NAMES[number]
        else:
            place = (
                folder
                / f"day {number % 7}"
                / ("raw" if number % 3 else "raw/deep/er")
                / f"IMG_{number:04}.jpg"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        size = 0 if number % 50 == 0 else 5_000_000 if number == 42 else chance.randrange(1, 20_000)
        place.write_bytes(chance.randbytes(size))
    return folder


def plain_folder(folder: Path, files: int, size_bytes: int) -> Path:
    """Fill *folder* with *files* files ``file 00.bin``… of *size_bytes* random bytes each."""
    folder.mkdir(parents=True)
    chance = random.Random(files)
    for number in range(files):
        (folder / f"file {number:02}.bin").write_bytes(chance.randbytes(size_bytes))
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below *folder*, by its relative path in NFC, as names are sent."""
    return {
        unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
