"""A root that was booted: systemd-nspawn starts its systemd, and a user there has one of their own, as after signing in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proof.bare_root import BareRoot

from tests.e2e.support.child import Child
from tests.e2e.support.wait import until

USER, USER_ID = "anna", 1000
PACKAGES = ("systemd", "systemd-sysv", "dbus-user-session", "libpam-systemd")


class BootedRoot:
    """Programs run in it by nsenter, as the user."""

    def __init__(self, root: BareRoot, init: int) -> None:
        self.home = root.folder / "home" / USER
        self._enter = ["nsenter", "--target", str(init), "--all", "--"]

    @property
    def is_up(self) -> bool:
        """Whether the user's systemd answers."""
        return self._done("systemctl", "is-active", f"user@{USER_ID}.service").returncode == 0

    def run(self, script: str) -> str:
        """Return what a line of shell prints as the user; AssertionError with its complaint if it fails."""
        env = [f"HOME=/home/{USER}", f"XDG_RUNTIME_DIR=/run/user/{USER_ID}", "PATH=/usr/bin:/bin"]
        user = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--init-groups"]
        done = self._done("env", "--ignore-environment", *env, "LC_ALL=C.UTF-8", *user, "sh", "-c", script)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def may_write(self, pid: str, file: str) -> bool:
        """Whether a file can be made there by somebody who sees the disk as the process *pid* sees it."""
        return self._done("nsenter", f"--target={pid}", "--mount", "touch", file).returncode == 0

    def state(self, unit: str, name: str) -> str:
        """Return a property of one of the user's units."""
        return self.run(f"systemctl --user show --value --property={name} {unit}").strip()

    def halt(self) -> None:
        """Shut it down."""
        self._done("systemctl", "poweroff")

    def _done(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, *words], capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )


@contextmanager
def booted(root: BareRoot, log: Path) -> Iterator[BootedRoot]:
    """Boot *root*, which has PACKAGES, with a network of its own; shut it down at the end."""
    root.run("useradd", "--create-home", f"--uid={USER_ID}", "--shell=/bin/sh", USER)
    linger = root.folder / "var/lib/systemd/linger"
    linger.mkdir(parents=True, exist_ok=True)
    (linger / USER).touch()  # the user's systemd starts without anybody signing in
    # It brings its own /proc and /dev, and refuses a /dev that is in use.
    bare = ["unshare", "--mount", "sh", "-c", 'umount --lazy "$0/proc" "$0/dev"; exec "$@"', str(root.folder)]
    options = ["--quiet", f"--directory={root.folder}", "--private-network", "--register=no", "--keep-unit"]
    # A systemd that is younger than that of Debian 12 refuses the first version of control groups.
    env = root.env({"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
    with Child([*bare, "systemd-nspawn", *options, "--boot"], env, log) as nspawn:
        here = BootedRoot(root, until(lambda: _init(nspawn.pid), "systemd"))
        try:
            until(lambda: here.is_up, "the user's systemd", within_s=60)
            yield here
        finally:
            here.halt()
            nspawn.wait()


def _init(nspawn: int) -> int | None:
    """Return the systemd that nspawn started; before it, nspawn starts helpers that end soon."""
    children = map(int, Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split())
    return next((child for child in children if _name(child) == "systemd"), None)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
