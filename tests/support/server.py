"""A real server in a child process, for tests that talk to it over loopback, look into its DATA, or kill it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20


class ServerProcess:
    """`python -m app.server` on *data_dir*; a context manager.

    `url` and `token` are known inside the `with`; a restart keeps the token and, unless it is taken, the port.
    """

    def __init__(
        self,
        data_dir: Path,
        *options: str,
        token: str | None = None,
        module: str = "app.server",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._environment = dict(environment or {})
        self.data_dir = data_dir
        self.token = token or secrets.token_urlsafe(16)
        self.url = ""
        self.options: Sequence[str] = options
        self.exit_code: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._log: list[str] = []
        self._reader: threading.Thread | None = None

    @property
    def database_path(self) -> Path:
        """Its SQLite database."""
        return self.data_dir / "server.sqlite3"

    @property
    def files_dir(self) -> Path:
        """Where finished files are."""
        return self.data_dir / "files"

    @property
    def partials_dir(self) -> Path:
        """Where unfinished bytes are."""
        return self.data_dir / "partials"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def log(self) -> str:
        """What it has written to standard error, in all its lives."""
        return "".join(self._log)

    def start(self) -> Self:
        """Start it and wait until it listens."""
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, "-m", self._module, "--data", str(self.data_dir), "--port", port]
        process = subprocess.Popen(
            [*command, *self.options],
            cwd=ROOT,
            env=os.environ | {"UPHAUL_SERVE_TOKEN": self.token, "PYTHONUNBUFFERED": "1"} | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._process = process
        self._reader = threading.Thread(
            target=self._read_log, args=(process,), name="server-log", daemon=True
        )
        self._reader.start()
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        watchdog.cancel()
        watchdog.join()
        if not line:
            self.stop()
            raise AssertionError(f"the server did not start:\n{self.log}")
        self.url = json.loads(line)["url"]
        return self

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._log.append(line)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._running().kill()
        self._reap()

    def cut_power(self) -> None:
        """End it and its helpers as `kill -9` does, at one moment: nobody sees another die and tidies up."""
        os.kill(self.pid, signal.SIGSTOP)
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        self.kill()

    def terminate(self) -> int:
        """End it as SIGTERM does; return its exit code."""
        self._running().send_signal(signal.SIGTERM)
        return self._reap()

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit code."""
        self._running()
        return self._reap()

    def restart(self) -> None:
        """Start it again after :meth:`kill` or :meth:`terminate`."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the server is not running"
        return self._process

    def _reap(self) -> int:
        process = self._running()
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert self._reader is not None
        self._reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self._process = None
        self.exit_code = code
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()  # quick, and the data must be none the worse for it
