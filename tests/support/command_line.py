"""`python -m app` as a person runs it: a real process with a home of its own, and no keyring."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]


class Cli:
    """Runs commands in *work* with UPHAUL_HOME at *home*."""

    def __init__(self, home: Path, work: Path) -> None:
        self.home = home
        self.work = work
        self.started: list[subprocess.Popen[bytes]] = []

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {
            "UPHAUL_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }
        return {k: v for k, v in os.environ.items() if not k.startswith("UPHAUL_")} | own | dict(extra or {})

    def start(
        self,
        *args: str | bytes,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *args],
            cwd=self.work,
            env=self.environment(env),
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def run(
        self, *args: str | bytes, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        process = self.start(*args, env=env)
        out, err = process.communicate(stdin.encode(), timeout=45)
        return process.returncode, out.decode(), err.decode()

    def json(self, *args: str | bytes, env: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Return exit code and parsed result."""
        code, out, err = self.run(*args, "--json", env=env)
        assert out, err
        return code, json.loads(out)

    def slow_down(self, bytes_per_s: int = 1_000_000) -> None:
        """Set a speed limit, so that an upload takes long enough to meet it."""
        self.home.mkdir(exist_ok=True)
        (self.home / "settings.toml").write_text(f"speed_limit_bps = {bytes_per_s}\n")

    def full_speed(self) -> None:
        (self.home / "settings.toml").unlink()

    def arrived(self, batch: str) -> dict[str, bytes]:
        """Return what the embedded server holds of a batch."""
        folder = self.home / "server" / "files" / batch
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def make(self, folder: str, files: Mapping[str | bytes, bytes]) -> dict[str, bytes]:
        """Make files in a folder; return them by name."""
        for name, content in files.items():
            path = os.path.join(os.fsencode(self.work / folder), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(os.fsdecode(path)).write_bytes(content)
        return {os.fsdecode(name): content for name, content in files.items()}
