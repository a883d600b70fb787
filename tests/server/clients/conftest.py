"""Senders that we did not write, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import node
from tests.support.server import ServerProcess

HERE = Path(__file__).parent


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
    assert request.config.cache is not None
    return node.node_modules(Path(request.config.cache.mkdir("foreign-clients")), HERE / "js")


@pytest.fixture
def js(server: ServerProcess, node_modules: Path) -> ForeignClient:
    """tus-js-client on Node: the client of most browsers that speak tus."""
    command = [node.node(), str(HERE / "js" / "drive.cjs")]
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
