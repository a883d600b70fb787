"""The Windows installer: the frozen folder, packed by makensis, which runs on Linux, too; windows/uphaul.nsi says how.

The program itself can only be frozen on Windows. Elsewhere its folder must be given (build.py --payload FOLDER).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from common import frozen
from common.context import Context, Stop, lacking, only_on, settle

PROGRAMS = ("uphaul.exe", "uphaul-window.exe")
SIGN = "UPHAUL_SIGN_COMMAND"
"""The variable with a command that signs the file whose path is added to it; without it nothing is signed."""
TARGET = "UPHAUL_NSIS_TARGET"
"""The variable with what the installer itself is a program for; makensis' default, 32 bit, runs on every Windows."""
_HERE = Path(__file__).resolve().parent


def obstacle(context: Context) -> str | None:
    """Say why the installer cannot be made here, or None."""
    if reason := lacking("makensis"):
        return f"{reason} It is in the package nsis (on Windows: nsis.sourceforge.io)."
    if context.payload is not None:
        return None
    if only_on("win32", "Windows"):
        return (
            "The program can only be frozen on Windows; with --payload FOLDER one from there is packed here."
        )
    return frozen.obstacle()


def build(context: Context) -> list[Path]:
    """Make the installer. Raises Stop."""
    payload = frozen.payload(context)
    if missing := [name for name in PROGRAMS if not (payload / name).is_file()]:
        raise Stop(f"{payload} is no program for Windows: it lacks {' and '.join(missing)}.")
    if not re.fullmatch(r"\d+\.\d+\.\d+", context.product.version):
        raise Stop(f"Windows wants a version like 1.2.3, not {context.product.version}.")
    files = sorted(file for file in payload.rglob("*") if file.is_file())
    settle(files, context.epoch_seconds)
    script = context.folder("windows") / "files.nsh"
    script.write_text(file_list(payload, [file.relative_to(payload) for file in files]), encoding="utf-8")
    output = context.dist / f"{context.product.name}-{context.product.version}-setup.exe"
    size = sum(file.stat().st_size for file in files)
    context.run(["makensis", *_arguments(context, script, output, size)])
    return [output]


def file_list(payload: Path, files: Sequence[Path]) -> str:
    """Return NSIS macros that install *files* (relative to *payload*), and that remove exactly them."""
    install, remove = ["!macro InstallFiles"], ["!macro RemoveFiles"]
    folders: list[PurePosixPath] = []
    for file in files:
        name = PurePosixPath(file.as_posix())
        if not folders or folders[-1] != name.parent:
            folders.append(name.parent)
            install.append(f'  SetOutPath "{_installed(name.parent)}"')
        install.append(f'  File "{_quoted(str(payload / file))}"')
        remove.append(f'  Delete "{_installed(name)}"')
    for folder in sorted({each for name in folders for each in (name, *name.parents)}, reverse=True):
        if folder != PurePosixPath("."):
            remove.append(f'  RMDir "{_installed(folder)}"')
    return "\n".join([*install, "!macroend", *remove, "!macroend", ""])


def _installed(name: PurePosixPath) -> str:
    return "$INSTDIR" if not name.parts else f"$INSTDIR\\{_quoted(str(PureWindowsPath(name)))}"


def _quoted(text: str) -> str:
    """Return *text* for a string of NSIS, or Stop: a name that a script could read as something else is not packed."""
    if set(text) & set('"$`') or not text.isprintable():
        raise Stop(
            f"A file whose name has quotation marks, a dollar or control characters cannot be packed: {text!r}."
        )
    return text


def _arguments(context: Context, files: Path, output: Path, size_bytes: int) -> list[str]:
    product = context.product
    values = {
        "TITLE": product.title,
        "VERSION": product.version,
        "SUMMARY": product.summary,
        "PUBLISHER": product.publisher,
        "LICENCE": f"{product.authors}, {product.licence} licence",
        "HOMEPAGE": product.homepage,
        "SCHEME": product.scheme,
        "ICON": str(_HERE / "uphaul.ico"),
        "FILES": str(files),
        "OUTPUT": str(output),
        "SIZE_KIB": str(size_bytes // 1024),
    }
    for name, variable in (("SIGN", SIGN), ("TARGET", TARGET)):
        if value := os.environ.get(variable):
            values[name] = value
    defines = [f"-D{name}={value}" for name, value in values.items()]
    return ["-V2", "-WX", "-INPUTCHARSET", "UTF8", *defines, str(_HERE / "uphaul.nsi")]
