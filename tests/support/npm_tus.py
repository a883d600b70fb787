"""@tus/server of the tus project, as its documentation sets it up: a process on loopback that keeps files in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.node import node

_SCRIPT = Path(__file__).parents[1] / "contract" / "tus" / "js" / "server.cjs"


class NpmTus:
    """``with NpmTus(node_modules, folder) as running: running.url``. *options* are those of @tus/server."""

    def __init__(
        self, modules: Path, directory: Path, *, extensions: Sequence[str] | None = None, **options: Any
    ) -> None:
        self._modules = modules
        self._directory = directory
        self.token = "a token of npm's"
        self._told = {
            "directory": str(directory),
            "token": self.token,
            "extensions": extensions,
            "options": options,
        }
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def stored(self) -> list[tuple[str, str]]:
        """Return the name and the SHA-256 of every whole file."""
        found = []
        for path in self._directory.glob("*.json"):
            told, content = json.loads(path.read_bytes()), path.with_suffix("")
            if content.stat().st_size == told["size"]:
                name = (told.get("metadata") or {}).get("filename") or ""
                found.append((name, hashlib.sha256(content.read_bytes()).hexdigest()))
        return found

    def uploads(self) -> int:
        """Return how many uploads there are, whole or not."""
        return len(list(self._directory.glob("*.json")))

    def forget(self) -> None:
        """Delete all uploads, as its expiry does."""
        for path in self._directory.iterdir():
            path.unlink()

    def start(self) -> None:
        """Run it, at the same port as before."""
        told = {**self._told, "port": urlsplit(self.url).port or 0}
        self._process = subprocess.Popen(
            [node(), str(_SCRIPT), json.dumps(told)],
            env=os.environ | {"NODE_PATH": str(self._modules)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "@tus/server did not start"

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def restart(self) -> None:
        """As a crash and a new start."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.kill()
