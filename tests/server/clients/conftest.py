"""Senders that we did not write, each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.server import ServerProcess

HERE = Path(__file__).parent
INSTALL_SECONDS = 120


class ForeignClient:
    """A program that reads what to do as JSON and answers as JSON."""

    def __init__(self, name: str, command: Sequence[str], server: ServerProcess, env: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._server = server
        self._env = os.environ | env

    def act(self, **told: Any) -> dict[str, Any]:
        """Do one act in a new process; what it forgot between two acts it must find again by itself."""
        told = {"url": f"{self._server.url}/files", "token": self._server.token, "metadata": {}} | told
        done = subprocess.run(
            self._command,
            input=json.dumps(told, default=str),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self._env,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def uploaded(self, path: Path, **told: Any) -> str:
        """Upload *path* (or a part of it) and return its place on the server, `/files/<id>`."""
        answer = self.act(do="upload", path=path, **told)
        assert "location" in answer, answer
        return urlsplit(answer["location"]).path


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """The packages of js/package-lock.json, installed once into pytest's cache folder."""
    lock = (HERE / "js" / "package-lock.json").read_bytes()
    cache = request.config.cache
    assert cache is not None
    home = Path(cache.mkdir("foreign-clients")) / hashlib.sha256(lock).hexdigest()[:16]
    if not (home / "node_modules").is_dir():
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                pytest.fail(
                    f"tus-js-client needs the program {program}: install Node.js 18 or newer.", pytrace=False
                )
        install(home)
    return home / "node_modules"


def install(home: Path) -> None:
    """Run `npm ci` beside *home* and give it the name when it is whole: a run that was cut off leaves nothing half done."""
    with tempfile.TemporaryDirectory(dir=home.parent) as workshop:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "js" / name, workshop)
        npm = [
            shutil.which("npm") or "npm",
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
        ]
        done = subprocess.run(
            npm, cwd=workshop, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode:
            pytest.fail(f"npm could not install tus-js-client:\n{done.stderr[-2000:]}", pytrace=False)
        home.mkdir(exist_ok=True)
        shutil.copytree(Path(workshop) / "node_modules", home / "node_modules", dirs_exist_ok=True)


@pytest.fixture
def js(server: ServerProcess, node_modules: Path) -> ForeignClient:
    """tus-js-client on Node: the client of most browsers that speak tus."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("tus-js-client needs the program node: install Node.js 18 or newer.", pytrace=False)
    command = [node, str(HERE / "js" / "drive.cjs")]
    return ForeignClient("tus-js-client", command, server, {"NODE_PATH": str(node_modules)})


@pytest.fixture
def py(server: ServerProcess) -> ForeignClient:
    """tuspy."""
    return ForeignClient("tuspy", [sys.executable, str(HERE / "drive_tuspy.py")], server, {"PYTHONUTF8": "1"})


@pytest.fixture(params=["py", "js"])
def foreign(request: pytest.FixtureRequest) -> ForeignClient:
    """Each of them."""
    client: ForeignClient = request.getfixturevalue(request.param)
    return client
