"""Typing at a shell in the root, as a person does: some letters, the Tab key, and what is on the screen then."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

from proof.bare_root import BareRoot

# How to start a shell without anybody's settings, and what makes it look for completions.
SHELLS = {
    "bash": (["bash", "--norc", "-i"], "source /usr/share/bash-completion/bash_completion"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D"),
}


def typed(root: BareRoot, shell: str, keys: str, goal: str, within_s: float = 20) -> str:
    """Type *keys*; return the screen once *goal* is on it, or what there is of it when the time is over."""
    command, setup = SHELLS[shell]
    screen, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            root.command(*command),
            env=root.env({"TERM": "dumb"}),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        try:
            os.write(
                screen, f"{setup}; echo rea''dy\n".encode()
            )  # so that what is typed is not what is waited for
            _read(screen, "ready\r", within_s)
            os.write(screen, keys.encode())
            return _read(screen, goal, within_s)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(terminal)
        os.close(screen)


def _read(screen: int, goal: str, within_s: float) -> str:
    seen, deadline = "", time.monotonic() + within_s
    while goal not in seen and (left_s := deadline - time.monotonic()) > 0:
        if select.select([screen], [], [], left_s)[0]:
            seen += os.read(screen, 65536).decode(errors="replace")
    return seen
