"""dev.py: what it decides about a machine, an environment and a person's words; the rest is shown by .ci/run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path

import pytest

import dev

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="sonames and apt-get are Linux's")
EGL = dev.Need("libegl1", dev.Proof.LIBRARY, "libEGL.so.1")
XVFB = dev.Need("xvfb", dev.Proof.PROGRAM, "Xvfb")
WANTED = dev.Stamp(python="3.11", lock="lock digest", project="project digest")


def test_a_library_that_does_not_load_is_found_missing_with_its_package() -> None:
    def all_but_egl(sonames: Collection[str]) -> set[str]:
        return set(sonames) - {"libEGL.so.1"}

    libraries = [need for need in dev.FOR_E2E if need.proof is dev.Proof.LIBRARY]

    assert dev.missing(libraries, load=all_but_egl) == [EGL]


@linux_only
def test_the_dynamic_loader_itself_is_asked() -> None:
    assert dev.loadable(["libc.so.6", "libuphaul-is-not-a-library.so.9"]) == {"libc.so.6"}


def test_programs_files_and_modules_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "Plain.ttf").touch()
    met = [
        dev.Need("a", dev.Proof.FILE, f"{tmp_path}/**/*.[ot]tf"),
        dev.Need("b", dev.Proof.MODULE, "json"),
        dev.Need("c", dev.Proof.PROGRAM, sys.executable),
    ]
    unmet = [
        dev.Need("d", dev.Proof.FILE, f"{tmp_path}/**/*.woff"),
        dev.Need("e", dev.Proof.MODULE, "no_such_module_of_uphaul"),
        dev.Need("f", dev.Proof.PROGRAM, "no-such-program-of-uphaul"),
    ]

    assert dev.missing([*met, *unmet]) == unmet


@pytest.mark.parametrize("as_root", [[], ["sudo", "-n"]])
def test_who_may_be_root_gets_the_packages_installed(as_root: list[str]) -> None:
    update, install = dev.installation([XVFB, EGL, EGL], debian=True, as_root=as_root)

    options = "env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300".split()
    assert [update, install] == [
        [*as_root, *options, "update"],
        [*as_root, *options, "install", "--yes", "--no-install-recommends", "libegl1", "xvfb"],
    ]


def test_who_may_not_be_root_gets_one_command_to_type() -> None:
    with pytest.raises(dev.Stop) as stop:
        dev.installation([EGL, XVFB], debian=True, as_root=None)

    command = str(stop.value).splitlines()[-1]
    assert command == (
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends libegl1 xvfb"
    )


def test_on_another_distribution_the_missing_things_are_named() -> None:
    with pytest.raises(dev.Stop, match=r"This system lacks: libEGL\.so\.1, Xvfb\."):
        dev.installation([EGL, XVFB], debian=False, as_root=[])


def test_only_a_window_needs_a_screen() -> None:
    environs = [
        {},
        {"DISPLAY": ""},
        {"DISPLAY": ":0"},
        {"WAYLAND_DISPLAY": "wayland-0"},
        {"QT_QPA_PLATFORM": "offscreen"},
    ]

    told = [dev.screen_problem(environ, "linux") is not None for environ in environs]

    assert (told, dev.screen_problem({}, "darwin")) == ([True, True, False, False, False], None)


def test_without_a_screen_the_person_learns_what_works() -> None:
    sentence = dev.screen_problem({}, "linux") or ""

    named = [what for what in ("uphaul upload", "uphaul serve", "dev.py test") if what in sentence]
    assert named == ["uphaul upload", "uphaul serve", "dev.py test"]


def test_supported_pythons_are_those_of_the_project_file() -> None:
    versions = [(3, minor) for minor in range(8, 16)]
    project = tomllib.loads((dev.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    fine = [version for version in versions if dev.python_problem(version) is None]

    assert (fine, project["requires-python"]) == ([(3, 11), (3, 12), (3, 13)], ">=3.11,<3.14")


def made_venv(folder: Path, stamp: dict[str, str] | None) -> tuple[Path, Path]:
    """A folder that looks like an environment: its Python, and perhaps a stamp."""
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    if stamp is not None:
        (folder / dev.STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return folder, python


@pytest.mark.parametrize(
    "change, state",
    [
        ({}, dev.VenvState.READY),
        ({"project": "older"}, dev.VenvState.PROJECT_CHANGED),
        ({"lock": "older"}, dev.VenvState.UNUSABLE),
        ({"python": "3.12"}, dev.VenvState.UNUSABLE),
        ({"written": "by a later dev.py"}, dev.VenvState.UNUSABLE),
    ],
)
def test_a_stamp_says_what_is_to_be_done(
    tmp_path: Path, change: dict[str, str], state: dev.VenvState
) -> None:
    venv, python = made_venv(tmp_path, WANTED._asdict() | change)

    assert dev.venv_state(venv, python, WANTED) is state


def test_an_environment_without_its_stamp_is_half_made(tmp_path: Path) -> None:
    venv, python = made_venv(tmp_path, stamp=None)

    assert dev.venv_state(venv, python, WANTED) is dev.VenvState.UNUSABLE


def test_an_environment_whose_python_is_gone_is_unusable(tmp_path: Path) -> None:
    venv, python = made_venv(tmp_path, WANTED._asdict())
    python.unlink()

    assert dev.venv_state(venv, python, WANTED) is dev.VenvState.UNUSABLE


@pytest.mark.parametrize("words", [[], ["biuld"], ["check", "--fast"], ["lock", "httpx"]])
def test_wrong_words_get_the_usage_and_exit_code_2(words: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, dev.ROOT / "dev.py", *words], capture_output=True, text=True, check=False, timeout=30
    )

    assert (answer.returncode, answer.stdout, answer.stderr.strip()) == (2, "", dev.USAGE)


def locked_requirements() -> dict[str, list[str]]:
    """Each pinned line of the lock (`name==version ; marker`) with its hashes."""
    locked: dict[str, list[str]] = {}
    for line in dev.LOCK.read_text(encoding="utf-8").splitlines():
        text = line.strip(" \\")
        if text.startswith("--hash="):
            locked[next(reversed(locked))].append(text)
        else:
            locked[text] = []
    return locked


def test_the_lock_holds_only_pins_with_hashes() -> None:
    pin = re.compile(r"[a-z0-9-]+==[0-9][^ :/]*( ; [^:/]+)?")

    locked = locked_requirements()

    assert [line for line, hashes in locked.items() if not pin.fullmatch(line) or not hashes] == []


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((dev.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["window"]]
    declared += project["optional-dependencies"]["dev"]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in declared}

    locked = {line.split("==")[0] for line in locked_requirements()}

    assert names - locked == set()


def test_every_declared_dependency_has_its_reason() -> None:
    project = tomllib.loads((dev.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["window"]]
    declared += project["optional-dependencies"]["dev"]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in declared}

    page = (dev.ROOT / "docs" / "DEPENDENCIES.md").read_text(encoding="utf-8").lower()

    assert {name for name in names if f"| {name} |" not in page} == set()
