"""A child process that leaves nothing behind: its own process group, its words in a file, ended for certain."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType


class Child:
    """Runs *command* in a process group of its own; its output goes to *log*. Leaving the context ends the group."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, *, keep_fds: Sequence[int] = ()
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep_fds,
            )

    @property
    def pid(self) -> int:
        """The process id, which is the group's id, too."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process itself (not only its children) is there."""
        return self.process.poll() is None

    def words(self) -> str:
        """Return everything it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait(self, within_s: float = 30.0) -> int:
        """Return the exit code; AssertionError with the output if it does not end in time."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args!r} did not end:\n{self.words()}") from None

    def end(self) -> None:
        """Ask the process to end, then kill what is left of its group."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def is_over(pid: int) -> bool:
    """Whether the process has ended, also where nobody has collected it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
