"""Builds what people install: `python3 packaging/build.py deb|appimage|flatpak|windows|macos|all`; docs/PACKAGING.md.

Without a target it says what can be built on this system, and why not. Each target is a module that common/context.py
describes; results go to dist/ with SHA256SUMS and an SBOM.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from common.context import Context, Stop, say
from common.sbom import write_sbom

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {
    "deb": "linux.deb",
    "appimage": "linux.appimage",
    "flatpak": "linux.flatpak",
    "windows": "windows.build",
    "macos": "macos.build",
}
SUMS = "SHA256SUMS"


def main(argv: Sequence[str]) -> int:
    """Build what *argv* names and return the exit code; 1 if something that was asked for could not be built."""
    args = _parser().parse_args(argv)
    try:
        context = Context.here(ROOT, args.payload)
        if args.target is None:
            return _tell(context)
        if args.target == "all":
            return _build_all(context)
        return _build(context, args.target)
    except Stop as stop:
        say(str(stop))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "target", nargs="?", choices=[*TARGETS, "all"], help="default: say what can be built here"
    )
    parser.add_argument(
        "--payload", type=Path, metavar="FOLDER", help="pack this one-folder program (made elsewhere)"
    )
    return parser


def _target(name: str) -> ModuleType:
    return importlib.import_module(TARGETS[name])


def _tell(context: Context) -> int:
    for name in TARGETS:
        print(f"{name:9} {_target(name).obstacle(context) or 'can be built here'}")
    return 0


def _build(context: Context, name: str) -> int:
    """Build one target, or Stop with the reason."""
    target = _target(name)
    if reason := target.obstacle(context):
        raise Stop(f"{name}: {reason}")
    context.dist.mkdir(exist_ok=True)
    files = target.build(context)
    if context.payload is None:  # what was frozen elsewhere has its own from there
        files.append(write_sbom(context))
    for file in files:
        print(file.relative_to(context.root))
    write_sums(context.dist)
    return 0


def _build_all(context: Context) -> int:
    """Build what can be built here; what cannot is said and is no failure."""
    for name in TARGETS:
        if reason := _target(name).obstacle(context):
            say(f"{name}: not built. {reason}")
        else:
            _build(context, name)
    return 0


def write_sums(dist: Path) -> None:
    """Write SHA256SUMS, as `sha256sum --check` reads it, of all files in *dist*."""
    files = sorted(file for file in dist.iterdir() if file.is_file() and file.name != SUMS)
    lines = []
    for file in files:
        with file.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {file.name}\n")
    (dist / SUMS).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    os.umask(0o022)  # that of who builds has no say in what everybody may read
    sys.exit(main(sys.argv[1:]))
