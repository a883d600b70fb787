"""Packages of npm for programs of others, installed once into a cache folder, exactly as their lock says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

INSTALL_SECONDS = 120
_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")


def node() -> str:
    """Return the program node; the test fails without it."""
    return _program("node")


def node_modules(cache: Path, locked: Path) -> Path:
    """Return the folder for NODE_PATH with what *locked* (package.json and package-lock.json) names, below *cache*."""
    home = cache / hashlib.sha256((locked / "package-lock.json").read_bytes()).hexdigest()[:16]
    if not (home / "node_modules").is_dir():
        node()
        _install(home, locked)
    return home / "node_modules"


def _install(home: Path, locked: Path) -> None:
    """Run `npm ci` beside *home* and give it the name when it is whole: a run that was cut off leaves nothing half done."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as workshop:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(locked / name, workshop)
        done = subprocess.run(
            [_program("npm"), *_CI],
            cwd=workshop,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"npm could not install {locked.parent.name}:\n{done.stderr[-2000:]}", pytrace=False)
        home.mkdir(exist_ok=True)
        shutil.copytree(Path(workshop) / "node_modules", home / "node_modules", dirs_exist_ok=True)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"This test needs the program {name}: install Node.js 18 or newer.", pytrace=False)
    return found
