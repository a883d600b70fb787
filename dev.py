"""Everything a developer starts, with the standard library alone: `python3 dev.py` says what there is.

`.venv` is made from `requirements/lock.txt`, the project is installed into it as editable, and a stamp written last says
for what it was made: without the stamp it is half made and is made anew. What Qt and the tests need from the system is
one table of `Need`s below; it is checked before Qt is started, because Qt aborts the process when a library is missing.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements" / "lock.txt"
BUNDLE = ROOT / "requirements" / "bundle.txt"
PACKAGING = ROOT / "requirements" / "packaging.txt"
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = SCRIPTS / ("python.exe" if sys.platform == "win32" else "python")
STAMP = "uphaul-stamp.json"
PYTHONS = ((3, 11), (3, 12), (3, 13))

USAGE = """\
usage: python3 dev.py COMMAND

  run [PATH...]        open the window (and upload these)
  test [PYTEST...]     the whole fast suite; arguments go to pytest
  check [--no-fast]    format, lint, types, import contracts, tests, e2e in a virtual screen
                       (--no-fast: without the fast suite, for when `test` has just run)
  check --installed PATH
                       the e2e tests alone, against an installed program, such as /usr/bin/uphaul
  screenshots          take the pictures in docs/images
  lock [--upgrade]     write requirements/*.txt anew from pyproject.toml"""


class Stop(Exception):
    """Nothing more can be done; the message is a sentence for the person at the keyboard."""


class Proof(Enum):
    """How to see that a need is met."""

    LIBRARY = "a shared library that can be loaded, by its soname"
    PROGRAM = "a program on the PATH"
    FILE = "a file, by a glob pattern"
    MODULE = "a module of the Python that runs this file"


class Need(NamedTuple):
    """One thing of the system, and the Debian package that has it."""

    package: str
    proof: Proof
    name: str


FOR_VENV = (Need(f"python3.{sys.version_info[1]}-venv", Proof.MODULE, "ensurepip"),)
FOR_OFFSCREEN = (
    Need("libdbus-1-3", Proof.LIBRARY, "libdbus-1.so.3"),
    Need("libegl1", Proof.LIBRARY, "libEGL.so.1"),
    Need("libfontconfig1", Proof.LIBRARY, "libfontconfig.so.1"),
    Need("libgl1", Proof.LIBRARY, "libGL.so.1"),
    Need("libglib2.0-0", Proof.LIBRARY, "libglib-2.0.so.0"),
    Need("libgssapi-krb5-2", Proof.LIBRARY, "libgssapi_krb5.so.2"),
    Need("libxkbcommon0", Proof.LIBRARY, "libxkbcommon.so.0"),
    Need("fonts-dejavu-core", Proof.FILE, "/usr/share/fonts/**/*.[ot]tf"),
)
FOR_NODE = (
    Need("nodejs", Proof.PROGRAM, "node"),
    Need("npm", Proof.PROGRAM, "npm"),
)  # tests ask the server with tus-js-client
FOR_PACKAGES = (  # tests compile an installer, look into it, and let others judge scripts, property lists and signatures
    Need("libplist-utils", Proof.PROGRAM, "plistutil"),
    Need("minisign", Proof.PROGRAM, "minisign"),
    Need("nsis", Proof.PROGRAM, "makensis"),
    Need("p7zip-full", Proof.PROGRAM, "7z"),
    Need("shellcheck", Proof.PROGRAM, "shellcheck"),
)
FOR_TESTS = (*FOR_OFFSCREEN, *FOR_NODE, *FOR_PACKAGES)
FOR_WINDOW = (
    *FOR_OFFSCREEN,
    Need("libx11-xcb1", Proof.LIBRARY, "libX11-xcb.so.1"),
    Need("libxcb-cursor0", Proof.LIBRARY, "libxcb-cursor.so.0"),
    Need("libxcb-icccm4", Proof.LIBRARY, "libxcb-icccm.so.4"),
    Need("libxcb-image0", Proof.LIBRARY, "libxcb-image.so.0"),
    Need("libxcb-keysyms1", Proof.LIBRARY, "libxcb-keysyms.so.1"),
    Need("libxcb-randr0", Proof.LIBRARY, "libxcb-randr.so.0"),
    Need("libxcb-render-util0", Proof.LIBRARY, "libxcb-render-util.so.0"),
    Need("libxcb-shape0", Proof.LIBRARY, "libxcb-shape.so.0"),
    Need("libxcb-xkb1", Proof.LIBRARY, "libxcb-xkb.so.1"),
    Need("libxkbcommon-x11-0", Proof.LIBRARY, "libxkbcommon-x11.so.0"),
)
FOR_E2E = (
    *FOR_WINDOW,
    *FOR_NODE,
    Need("dbus", Proof.PROGRAM, "dbus-daemon"),
    Need("dunst", Proof.PROGRAM, "dunst"),
    Need("fonts-inter", Proof.FILE, "/usr/share/fonts/**/[Ii]nter*"),
    Need("gnome-keyring", Proof.PROGRAM, "gnome-keyring-daemon"),
    Need("imagemagick", Proof.PROGRAM, "import"),
    Need("lxqt-panel", Proof.PROGRAM, "lxqt-panel"),
    Need("openbox", Proof.PROGRAM, "openbox"),
    Need("systemd", Proof.PROGRAM, "busctl"),
    Need("xdotool", Proof.PROGRAM, "xdotool"),
    Need("xvfb", Proof.PROGRAM, "Xvfb"),
)


def loadable(sonames: Collection[str]) -> set[str]:
    """Those of `sonames` that the dynamic loader finds. Asked in a child process, which sees what apt has just brought."""
    probe = (
        "import ctypes, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: ctypes.CDLL(name)\n"
        "    except OSError: continue\n"
        "    print(name)\n"
    )
    command = [sys.executable, "-c", probe, *sonames]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def missing(needs: Iterable[Need], load: Callable[[Collection[str]], set[str]] = loadable) -> list[Need]:
    """The needs that this machine does not meet, in the table's order."""
    needs = tuple(needs)
    libraries = load([need.name for need in needs if need.proof is Proof.LIBRARY])
    is_met: dict[Proof, Callable[[str], bool]] = {
        Proof.LIBRARY: libraries.__contains__,
        Proof.PROGRAM: lambda name: shutil.which(name) is not None,
        Proof.FILE: lambda pattern: next(glob.iglob(pattern, recursive=True), None) is not None,
        Proof.MODULE: lambda name: importlib.util.find_spec(name) is not None,
    }
    return [need for need in needs if not is_met[need.proof](need.name)]


def installation(lacking: Sequence[Need], *, debian: bool, as_root: Sequence[str] | None) -> list[list[str]]:
    """The commands that install it, with `as_root` before them; Stop, saying what to do, where we may not (None)."""
    if not debian:
        names = ", ".join(need.name for need in lacking)
        raise Stop(f"This system lacks: {names}. Install the packages that have them, then start this again.")
    packages = sorted({need.package for need in lacking})
    if as_root is None:
        wanted = " ".join(packages)
        raise Stop(
            f"This system lacks: {wanted}. Type this, then start again:\n"
            f"sudo apt-get update && sudo apt-get install --yes --no-install-recommends {wanted}"
        )
    apt = [*as_root, *"env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300".split()]
    return [[*apt, "update"], [*apt, "install", "--yes", "--no-install-recommends", *packages]]


def ensure_system(needs: Iterable[Need]) -> None:
    """Install what is missing, or stop with a sentence. Only Linux leaves such things to its distribution."""
    needs = tuple(needs)
    if sys.platform != "linux" or not needs:
        return
    lacking = missing(needs)
    if not lacking:
        return
    debian = shutil.which("apt-get") is not None
    commands = installation(lacking, debian=debian, as_root=root_prefix() if debian else None)
    say("Installing with apt-get: " + " ".join(sorted({need.package for need in lacking})))
    for command in commands:
        must_work(command)
    still = [need.name for need in missing(needs)]
    if still:
        raise Stop("Installed, but still not there: " + ", ".join(still))


def root_prefix() -> list[str] | None:
    """What to put before a command to run it as root without being asked; None if there is no such way."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.call(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) == 0:
        return ["sudo", "-n"]
    return None


def python_problem(version: tuple[int, int]) -> str | None:
    """Why this Python cannot run Uphaul, or None."""
    if version in PYTHONS:
        return None
    found = [f"python{major}.{minor}" for major, minor in PYTHONS if shutil.which(f"python{major}.{minor}")]
    hint = f" Start this with {found[0]}." if found else ""
    return f"Uphaul needs Python 3.11, 3.12 or 3.13; this is {version[0]}.{version[1]}.{hint}"


def screen_problem(environ: Mapping[str, str], platform: str) -> str | None:
    """Why no window can be opened here, and what works all the same; None if one can."""
    needs_none = environ.get("QT_QPA_PLATFORM", "").startswith(("offscreen", "minimal", "vnc"))
    if platform != "linux" or needs_none or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return None
    uphaul = SCRIPTS / "uphaul"
    return (
        "There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can be opened.\n"
        f"These work without one: {uphaul} upload PATH, {uphaul} serve, python3 dev.py test"
    )


class VenvState(Enum):
    """What is to be done before `.venv` can be used."""

    READY = "nothing"
    PROJECT_CHANGED = "install the project again"
    UNUSABLE = "make it anew"


class Stamp(NamedTuple):
    """For what a virtual environment was made: Python's version, and the SHA-256 of two files."""

    python: str
    lock: str
    project: str

    @classmethod
    def wanted(cls) -> Stamp:
        """What the checkout asks for now."""
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (LOCK, ROOT / "pyproject.toml")]
        return cls(f"{sys.version_info[0]}.{sys.version_info[1]}", *digests)


def venv_state(venv: Path, python: Path, wanted: Stamp) -> VenvState:
    """Compare the stamp with what is wanted; an environment without its stamp or its Python is half made."""
    try:
        found = Stamp(**json.loads((venv / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return VenvState.UNUSABLE
    if not python.exists() or found[:2] != wanted[:2]:
        return VenvState.UNUSABLE
    return VenvState.READY if found == wanted else VenvState.PROJECT_CHANGED


def ensure_venv() -> None:
    """Make `.venv` what the checkout asks for; instant when it is."""
    wanted = Stamp.wanted()
    state = venv_state(VENV, PYTHON, wanted)
    if state is VenvState.READY:
        return
    pip = [str(PYTHON), *"-m pip --disable-pip-version-check --no-input install -qq --no-deps".split()]
    (VENV / STAMP).unlink(missing_ok=True)
    if state is VenvState.UNUSABLE:
        ensure_system(FOR_VENV)
        say("Making .venv with what requirements/lock.txt pins. This takes a minute, once.")
        # The environment may be the one that runs us: ask the Python below it, which stays.
        base = getattr(sys, "_base_executable", sys.executable)
        must_work([base, "-m", "venv", "--clear", str(VENV)])
        must_work([*pip, "--require-hashes", "--requirement", str(LOCK)])
    # The build backend is among the pinned packages, so nothing is fetched here that has no hash.
    must_work([*pip, "--no-build-isolation", "--editable", str(ROOT)])
    (VENV / STAMP).write_text(json.dumps(wanted._asdict()), encoding="utf-8")


def prepare(needs: Iterable[Need]) -> None:
    """Make this machine ready. The system comes first: what it lacks is said before a minute of downloads."""
    ensure_system(needs)
    ensure_venv()


def say(text: str) -> None:
    """One sentence to the person, apart from the output of what we start."""
    print(text, file=sys.stderr, flush=True)


def must_work(command: Sequence[str]) -> None:
    """Run one step of the preparations; Stop if it fails (it has said why on standard error)."""
    if subprocess.call(command, stdout=subprocess.DEVNULL) != 0:
        raise Stop(f"This did not work: {shlex.join(command)}")


def call(command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = ROOT) -> int:
    """Run a program to its end. Ctrl-C is for the program, which needs time to leave cleanly, so we let it pass by."""
    with subprocess.Popen([str(part) for part in command], env=env, cwd=cwd) as child:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def run(args: Sequence[str]) -> int:
    """Open the window."""
    problem = screen_problem(os.environ, sys.platform)
    prepare(() if problem else FOR_WINDOW)
    if problem:
        raise Stop(problem)
    # -P: a folder called `ui` where the person stands must not be taken for ours.
    return call([PYTHON, "-P", "-m", "ui", *args], cwd=None)


def test(args: Sequence[str]) -> int:
    """Run the fast suite; pytest has the last word."""
    prepare(FOR_TESTS)
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    env.pop("UPHAUL_HOME", None)  # no test may reach the person's own journal
    return call([PYTHON, "-m", "pytest", "--ignore=tests/e2e", *args], env=env)


def check(args: Sequence[str]) -> int:
    """Run every judge in turn, the quick ones first, and stop at the first that is not content.

    The end-to-end suite comes last and starts a desktop of its own: X server, bus, window manager.
    """
    if len(args) == 2 and args[0] == "--installed":
        return _check_installed(Path(args[1]))
    if args not in ([], ["--no-fast"]):
        return usage_error()
    prepare(FOR_E2E)
    for judge in ("ruff format --check", "ruff check", "mypy", "lint-imports"):
        say(f"check: {judge}")
        program, *options = judge.split()
        code = call([SCRIPTS / program, *options])
        if code != 0:
            return code
    code = 0 if args else test([])
    return code or call([PYTHON, "-m", "pytest", "tests/e2e"])


def _check_installed(program: Path) -> int:
    """Run the end-to-end suite with an installed program's window in place of the source's."""
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise Stop(f"{program} is no program.")
    prepare(
        (*FOR_E2E, Need("gcc", Proof.PROGRAM, "cc"), Need("libc6-dev", Proof.FILE, "/usr/include/stdlib.h"))
    )
    env = os.environ | {"UPHAUL_TEST_INSTALLED": str(program.absolute())}
    return call([PYTHON, "-m", "pytest", "tests/e2e"], env=env)


def screenshots(args: Sequence[str]) -> int:
    """Take the pictures of the window as it is now, on the end-to-end suite's own desktop."""
    prepare(FOR_E2E)
    return call([PYTHON, "-m", "tests.e2e.screenshots", *args])


def lock(args: Sequence[str]) -> int:
    """Pin what pyproject.toml asks for, for every Python and system we support; pins that still fit stay."""
    if args not in ([], ["--upgrade"]):
        return usage_error()
    prepare(())
    everything = "--extra window --extra mcp --extra dev pyproject.toml"
    # What is frozen into a package has the same pins, without our tools; what freezes it has a file of its own.
    bundle = f"--constraint {LOCK.relative_to(ROOT).as_posix()} --extra window --extra mcp pyproject.toml"
    for target, what, more in (
        (LOCK, everything, args),
        (BUNDLE, bundle, ()),
        (PACKAGING, "--group packaging", args),
    ):
        if code := call([SCRIPTS / "uv", *_pinning(target, what), *more]):
            return code
    return 0


def _pinning(target: Path, what: str) -> list[str]:
    """The words after `uv` that pin *what* in *target*."""
    options = "pip compile --quiet --universal --python-version 3.11 --generate-hashes"
    without = "--no-emit-index-url --no-emit-find-links --no-annotate --no-header"
    output = target.relative_to(ROOT).as_posix()
    return f"{options} {without} --output-file {output} {what}".split()


def usage_error() -> int:
    """Say what there is; the exit code for wrong usage."""
    say(USAGE)
    return 2


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "test": test,
    "check": check,
    "screenshots": screenshots,
    "lock": lock,
}


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; a Stop becomes its sentence and 1."""
    if list(argv) in (["-h"], ["--help"], ["help"]):
        print(USAGE)
        return 0
    if not argv or argv[0] not in COMMANDS:
        return usage_error()
    problem = python_problem((sys.version_info[0], sys.version_info[1]))
    try:
        if problem:
            raise Stop(problem)
        return COMMANDS[argv[0]](list(argv[1:]))
    except Stop as stop:
        say(str(stop))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
