"""The program with its Python and its libraries in one folder, made by PyInstaller from hash-pinned packages.

requirements/bundle.txt ─► product environment ──┐
requirements/packaging.txt ─► tools environment ─┴─► PyInstaller ─► payload/uphaul/{uphaul, _internal/}
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from common.context import Context, Stop, say
from linux import icu

FOLDER = "uphaul"
MOST_BYTES = 130_000_000
"""How large the folder may be on Linux: issue 5."""
_MODULES = """
import importlib.metadata as m
print(*(name for name in m.packages_distributions() if name.isidentifier()))
"""
_SOURCES = ("app", "ui", "resources", "packaging/common", "requirements", "pyproject.toml")


def obstacle() -> str | None:
    """Say why the program cannot be frozen by this Python, or None."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return f"Uphaul needs Python 3.11, 3.12 or 3.13; this is {sys.version_info[0]}.{sys.version_info[1]}."
    return None


def payload(context: Context) -> Path:
    """Return the one-folder program for this system, frozen now unless nothing has changed since the last time."""
    if context.payload is not None:
        if not any((context.payload / name).is_file() for name in ("uphaul", "uphaul.exe")):
            raise Stop(f"{context.payload} has no program called uphaul in it.")
        return context.payload.resolve()
    folder = context.work / "payload" / FOLDER
    stamp = context.work / "payload.stamp"
    wanted = _state(context)
    if not (folder.is_dir() and stamp.is_file() and stamp.read_text() == wanted):
        stamp.unlink(missing_ok=True)
        _freeze(context)
        stamp.write_text(wanted)
    return folder


def product_python(context: Context) -> Path:
    """Return the Python of an environment that holds what the program is frozen from, and nothing else."""
    return _environment(context, "product", context.root / "requirements" / "bundle.txt")


def tools_python(context: Context) -> Path:
    """Return the Python of the environment with PyInstaller and CycloneDX."""
    return _environment(context, "tools", context.root / "requirements" / "packaging.txt")


def _freeze(context: Context) -> None:
    """Run PyInstaller in the product's environment; the tools are only looked up in theirs."""
    python, tools = str(product_python(context)), str(tools_python(context))
    say("Freezing the program. This takes a minute.")
    site = context.run([tools, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    ours, theirs = (set(context.run([which, "-c", _MODULES]).split()) for which in (python, tools))
    output = context.folder("payload")
    command = "-m PyInstaller --noconfirm --clean --log-level WARN".split()
    folders = ["--distpath", str(output), "--workpath", str(context.folder("pyinstaller"))]
    context.run(
        [python, *command, *folders, str(context.root / "packaging" / "common" / "uphaul.spec")],
        env={
            "PYTHONPATH": site,
            "PYTHONHASHSEED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "UPHAUL_TOOLS_ONLY": " ".join(sorted(theirs - ours)),
            "UPHAUL_METADATA": str(_metadata(context)),
        },
    )
    for data in (output / FOLDER).rglob("libicudata.so.*"):
        if not data.is_symlink():
            icu.shrink(data, context)
    _check(context, output / FOLDER)


def _check(context: Context, folder: Path) -> None:
    """See that what was frozen starts, is of this version, and is not larger than was promised; Stop otherwise."""
    program = folder / ("uphaul.exe" if sys.platform == "win32" else "uphaul")
    said = context.run([program, "--version"]).strip()
    if said != f"uphaul {context.product.version}":
        raise Stop(f"The frozen program says {said!r}, and not that it is version {context.product.version}.")
    # Its standard input is closed: the server starts, says where it listens, and ends.
    first_line = context.run([program, "serve", "--parent-stdin", "--data", context.folder("first-start")])
    if '"url"' not in first_line:
        raise Stop(f"The frozen program's server says {first_line!r}, and not where it listens.")
    size = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
    if sys.platform == "linux" and size > MOST_BYTES:
        raise Stop(f"The frozen program takes {size / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} MB are allowed.")
    say(f"Frozen: {size / 1e6:.0f} MB.")


def _metadata(context: Context) -> Path:
    """Write what importlib.metadata reads of an installed package: name and version."""
    product = context.product
    folder = context.folder("metadata") / f"{product.name}-{product.version}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.4\nName: {product.name}\nVersion: {product.version}\nSummary: {product.summary}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    return folder


def _environment(context: Context, name: str, requirements: Path) -> Path:
    """Make the environment *name* unless it is there; a stamp written last says for what it was made."""
    folder = context.work / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "uphaul-stamp"
    wanted = f"{sys.version} {hashlib.sha256(requirements.read_bytes()).hexdigest()}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    say(f"Making an environment of what {requirements.relative_to(context.root).as_posix()} pins.")
    # The environment may be the one that runs us: ask the Python below it, which stays.
    base = getattr(sys, "_base_executable", sys.executable)
    context.run([base, "-m", "venv", "--clear", folder])
    pip = [str(python), *"-m pip --disable-pip-version-check --no-input install -qq --no-deps".split()]
    context.run([*pip, "--require-hashes", "--requirement", requirements])
    stamp.write_text(wanted)
    return python


def _state(context: Context) -> str:
    """A digest of everything that goes into the folder."""
    digest = hashlib.sha256(f"{sys.version} {context.epoch_seconds}".encode())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_SOURCES],
        cwd=context.root, capture_output=True, check=False,
    )  # fmt: skip
    names = sorted(set(os.fsdecode(listed.stdout).split("\0")) - {""})
    for file in (context.root / name for name in names):
        if file.is_file():
            digest.update(f"{file.relative_to(context.root).as_posix()} {file.stat().st_size}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
