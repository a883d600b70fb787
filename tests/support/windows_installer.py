"""What the tests of the Windows installer pack: stand-in files, in a folder as PyInstaller leaves one."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.support.command_line import ROOT

sys.path.append(str(ROOT / "packaging"))
from common.context import Context

FILES = {
    "uphaul.exe": "the command",
    "uphaul-window.exe": "the window",
    "_internal/python311.dll": "Python",
    "_internal/PySide6/Qt6Core.dll": "Qt",
    "_internal/a name ü.txt": "text",
}


def payload(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """Write *files* (text by name) into *folder*."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def context(folder: Path, files: Mapping[str, str] = FILES, version: str = "0.1.0") -> Context:
    """One run of build.py that packs these files, and leaves everything in *folder*."""
    here = Context.here(ROOT, payload(folder / f"payload {version}", files))
    (folder / "dist").mkdir(exist_ok=True)
    product = replace(here.product, version=version)
    return replace(here, dist=folder / "dist", work=folder / "work", product=product)
