"""The macOS disk image: PyInstaller's app bundle, signed (sign.sh), packed (dmg.sh) and, with an account, notarised.

All of it needs a Mac: codesign, hdiutil and notarytool exist nowhere else. docs/RELEASING.md names the variables.
"""

from __future__ import annotations

import os
import plistlib
from pathlib import Path

from common import frozen
from common.context import Context, Stop, lacking, only_on
from macos.info import info

NOTARY = "UPHAUL_NOTARY_PROFILE"
_HERE = Path(__file__).resolve().parent


def obstacle(context: Context) -> str | None:
    """Say why the disk image cannot be made here, or None."""
    if context.payload is not None and not app_of(context, context.payload).is_dir():
        return f"Beside {context.payload} there is no {context.product.title}.app, which PyInstaller makes on a Mac."
    return only_on("darwin", "macOS") or lacking("codesign", "hdiutil", "xcrun") or frozen.obstacle()


def build(context: Context) -> list[Path]:
    """Make the disk image. Raises Stop."""
    app = app_of(context, frozen.payload(context))
    check(context, app)
    output = context.dist / f"{context.product.title}-{context.product.version}.dmg"
    context.run([_HERE / "sign.sh", app])
    context.run([_HERE / "dmg.sh", app, output, context.product.title])
    if os.environ.get(NOTARY):
        context.run([_HERE / "notarise.sh", output])
    return [output]


def app_of(context: Context, payload: Path) -> Path:
    """Return where PyInstaller puts the bundle: beside the one-folder program."""
    return payload.parent / f"{context.product.title}.app"


def check(context: Context, app: Path) -> None:
    """See that *app* is laid out as macOS wants it, and is of this version. Raises Stop."""
    contents = app / "Contents"
    needed = ["Info.plist", "MacOS/uphaul", "MacOS/uphaul-window", "Resources/uphaul.icns"]
    if missing := [name for name in needed if not (contents / name).is_file()]:
        raise Stop(f"{app.name} is no whole bundle: it lacks {', '.join(missing)}.")
    found = plistlib.loads((contents / "Info.plist").read_bytes())
    if wrong := [key for key, value in info(context.product).items() if found.get(key) != value]:
        raise Stop(f"Info.plist of {app.name} differs from pyproject.toml in {', '.join(wrong)}.")
