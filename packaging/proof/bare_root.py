"""A Debian of its own below one folder: debootstrap's minbase, no Python, nothing of ours, with apt as it is set up here.

UPHAUL_PROOF_SUITE chooses another release (trixie, noble): its packages come from debootstrap's mirror for it, or from
UPHAUL_PROOF_MIRROR, which an Ubuntu needs here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = "bookworm"
SUITE = os.environ.get("UPHAUL_PROOF_SUITE", HERE)
_MIRROR = os.environ.get("UPHAUL_PROOF_MIRROR", "")
# Debian 12 has neither a script for a release that is younger, nor Ubuntu's key: by HTTPS, and from then on apt has the key.
_UBUNTU = (["--components=main,universe"], [_MIRROR, "jammy"])
_MORE_OPTIONS, _MIRROR_AND_SCRIPT = _UBUNTU if SUITE == "noble" else ([], [_MIRROR] if _MIRROR else [])
_NETWORK = (
    "etc/apt/apt.conf.d",
    "etc/resolv.conf",
    "etc/hosts",
    "etc/ssl/certs",
    "usr/local/share/ca-certificates",
)
_SOURCES = ("etc/apt", "usr/share/keyrings")
_WHAT_APT_NEEDS_TO_BE_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class BareRoot:
    """Programs run in it by chroot, as root, with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *words: str | Path) -> list[str]:
        """Return the command that runs *words* in there."""
        return ["chroot", str(self.folder), *map(str, words)]

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment with nothing of ours in it but where packages come from, and *more*."""
        proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return {**proxies, **path, **_WHAT_APT_NEEDS_TO_BE_QUIET, **(more or {})}

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = 120) -> str:
        """Return what a program prints; AssertionError with its complaint if it fails."""
        done = subprocess.run(
            self.command(*words),
            env=self.env(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(map(str, words))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
        return done.stdout

    def install(self, deb: Path) -> None:
        """Install a .deb with apt, and what it depends on."""
        shutil.copy(deb, self.folder / "root" / deb.name)
        apt = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "--allow-downgrades"]
        self.run(*apt, f"/root/{deb.name}", timeout_s=900)
        (self.folder / "root" / deb.name).unlink()

    def files(self) -> set[str]:
        """Return every file and folder there is, but what runs, logs and caches."""
        volatile = ("proc", "dev", "tmp", "run", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log")
        found = set()
        for base, folders, files in os.walk(self.folder):
            here = Path(base).relative_to(self.folder)
            folders[:] = [name for name in folders if (here / name).as_posix() not in volatile]
            found |= {(here / name).as_posix() for name in (*folders, *files)}
        return found


def debootstrap(base: Path) -> None:
    """Make *base*, unless it is there as a whole. All that needs the mirror of the release itself is here."""
    if (base / "complete").is_file():
        return
    shutil.rmtree(base, ignore_errors=True)
    options = ["--variant=minbase", "--include=ca-certificates", *_MORE_OPTIONS]
    command = ["debootstrap", *options, SUITE, str(base), *_MIRROR_AND_SCRIPT]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (base / "complete").touch()


@contextmanager
def bare_root(base: Path, folder: Path, shared: Sequence[Path] = ()) -> Iterator[BareRoot]:
    """Copy the debootstrapped *base* (made if it is not there) to *folder*, with *shared* folders at their own paths."""
    debootstrap(base)
    subprocess.run(["cp", "-a", str(base), str(folder)], check=True)
    for name in (*_NETWORK, *(_SOURCES if SUITE == HERE else ())):
        _same(Path("/", name), folder / name)
    with ExitStack() as mounted:
        for place in (Path("/proc"), Path("/dev"), *shared):
            mounted.enter_context(_mounted(place, folder / place.relative_to("/")))
        root = BareRoot(folder)
        root.run("apt-get", "-qq", "update", timeout_s=600)
        yield root


def _same(source: Path, goal: Path) -> None:
    if source.is_dir():
        shutil.rmtree(goal, ignore_errors=True)
        shutil.copytree(source, goal, symlinks=True)
    elif source.is_file():
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.unlink(missing_ok=True)
        shutil.copy(source, goal)


@contextmanager
def _mounted(source: Path, goal: Path) -> Iterator[None]:
    goal.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), str(goal)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(goal)], check=True)


if __name__ == "__main__":
    debootstrap(Path(os.environ["UPHAUL_BARE_ROOT"]))
