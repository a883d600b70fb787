"""Which of the frozen program's libraries go into an AppImage or a Flatpak: those that the program itself needs.

PyInstaller looks through the desktop's libraries, too, and brings what they need. Ours would be found before the desktop's
own: an old copy for a library that may need a newer one. A .deb has no such question, since Debian has the packages.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from common import frozen
from common.context import Context

# The newest of it has to serve all: AppImage's list of what is never brought along.
OF_THE_DESKTOP = ("libglib-2.0.so.0", "libgthread-2.0.so.0")
_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def copy_program(context: Context, folder: Path) -> None:
    """Copy the frozen program to *folder*, which must not be there, without what belongs to the desktop."""
    shutil.copytree(frozen.payload(context), folder, symlinks=True)
    for name in OF_THE_DESKTOP:
        (folder / "_internal" / name).unlink(missing_ok=True)
    while unneeded := _unneeded(context, folder):
        for library in unneeded:
            library.unlink()


def _unneeded(context: Context, folder: Path) -> list[Path]:
    """Return the libraries that no binary in *folder* names. Python's own is loaded by the program without being named."""
    libraries = [file for file in folder.glob("_internal/lib*.so*") if not file.is_symlink()]
    binaries = [file for file in folder.rglob("*.so*") if not file.is_symlink()]
    said = context.run(["readelf", "--dynamic", "--wide", folder / context.product.name, *binaries])
    named = set(_NEEDED.findall(said))
    return [file for file in libraries if file.name not in named and not file.name.startswith("libpython")]
