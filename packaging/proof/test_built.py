"""The built .deb as Debian's own judges see it: menus, metainfo, the man page, completions, the unit, the SBOM. By .ci/packages."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from common.context import Context
from linux import appimage, flatpak, libraries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the package, as files."""
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "--extract", os.environ["UPHAUL_DEB"], folder], check=True)
    return folder


def judged(*command: str | Path) -> str:
    """Run a judge; return what it says, "" if it is content."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_menus_are_valid(unpacked: Path) -> None:
    assert judged("desktop-file-validate", *(unpacked / "usr/share/applications").iterdir()) == ""


def test_the_metainfo_is_valid(unpacked: Path) -> None:
    (file,) = (unpacked / "usr/share/metainfo").iterdir()
    assert judged("appstreamcli", "validate", "--no-net", "--explain", file) == ""


def test_the_man_page_has_no_warning(unpacked: Path) -> None:
    done = subprocess.run(
        [
            "man",
            "--warnings",
            "-E",
            "UTF-8",
            "-l",
            "-Tutf8",
            "-Z",
            unpacked / "usr/share/man/man1/uphaul.1.gz",
        ],
        capture_output=True,
        env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", "bash-completion/completions/uphaul"),
        ("zsh", "zsh/vendor-completions/_uphaul"),
        ("fish", "fish/vendor_completions.d/uphaul.fish"),
    ],
)
def test_each_shell_understands_its_completion(unpacked: Path, shell: str, file: str) -> None:
    assert judged(shell, "-n", unpacked / "usr/share" / file) == ""


def test_bash_completes_the_commands_of_the_parser(unpacked: Path) -> None:
    script = (
        f"source {unpacked}/usr/share/bash-completion/completions/uphaul; compopt() {{ :; }}; "
        "COMP_WORDS=(uphaul server te); COMP_CWORD=2; _uphaul; echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(uphaul upload --new); COMP_CWORD=2; COMPREPLY=(); _uphaul; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "test\n--new-project\n"


def test_systemd_takes_the_unit(unpacked: Path, tmp_path: Path) -> None:
    """Verified beside a program of that name, since the real one is not installed on this machine."""
    text = (unpacked / "usr/lib/systemd/user/uphaul-serve.service").read_text()
    unit = tmp_path / "uphaul-serve.service"
    unit.write_text(
        text.replace("/usr/bin/uphaul", str(unpacked / "usr/bin/uphaul")).replace(
            "Documentation=man:uphaul(1)\n", ""
        )
    )
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", unit],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "uphaul-serve" in line] == []


def test_the_bill_of_materials_names_what_is_frozen_in(unpacked: Path) -> None:
    (bill,) = (ROOT / "dist").glob("uphaul-*.cdx.json")
    parts = json.loads(bill.read_text())["components"]
    named = {re.sub(r"[-.]", "_", part["name"].lower()) for part in parts}
    folders = (unpacked / "usr/lib/uphaul/_internal").glob("*.dist-info")
    frozen_in = {re.sub(r"[-.]", "_", folder.name.partition("-")[0].lower()) for folder in folders}
    assert frozen_in - named - {"uphaul"} == set()


@pytest.mark.timeout(240)
def test_the_appdir_runs_and_becomes_a_squashfs(unpacked: Path) -> None:
    context = Context.here(ROOT, unpacked / "usr/lib/uphaul")
    folder = appimage.appdir(context)
    said = subprocess.run([folder / "AppRun", "--version"], capture_output=True, text=True, check=True).stdout
    image = appimage.squashfs(context, folder)
    first = image.read_bytes()
    again = appimage.squashfs(context, folder).read_bytes()
    assert (said, first[:4], first == again) == (f"uphaul {context.product.version}\n", b"hsqs", True)


def test_flatpak_builder_understands_the_manifest(unpacked: Path, tmp_path: Path) -> None:
    context = Context.here(ROOT, unpacked / "usr/lib/uphaul")
    file = flatpak.write_manifest(context, tmp_path)
    done = subprocess.run(
        ["flatpak-builder", "--show-manifest", file], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout)["id"] == context.product.id


def test_the_desktop_sees_all_of_the_flatpak(unpacked: Path, tmp_path: Path) -> None:
    """Flatpak shows only what is named by the id; and a software centre finds the program before it is installed."""
    context = Context.here(ROOT, unpacked / "usr/lib/uphaul")
    flatpak.share(context, tmp_path)
    share = tmp_path / "share"
    files = [file for file in share.rglob("*") if file.is_file() and share / "app-info" not in file.parents]
    menus = sorted((share / "applications").iterdir())
    (catalogue,) = (share / "app-info/xmls").iterdir()
    assert {file.name for file in files if not file.name.startswith(context.product.id)} == set()
    assert judged("desktop-file-validate", *menus) == ""
    assert [f"Icon={context.product.id}" in menu.read_text().splitlines() for menu in menus] == [True, True]
    assert (
        f'<launchable type="desktop-id">{context.product.id}.desktop<'
        in gzip.decompress(catalogue.read_bytes()).decode()
    )


def library(file: Path, *needs: str, work: Path) -> None:
    """Make an empty shared library that names others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    empty = work / "empty.o"
    subprocess.run(["as", "-o", empty, "/dev/null"], check=True)
    named = [f"-l:{name}" for name in needs]
    subprocess.run(
        ["ld", "-shared", "-soname", file.name, "-o", file, empty, f"-L{file.parent}", f"-L{work}", *named],
        check=True,
    )


def test_a_library_that_only_the_desktop_needs_is_left_out(tmp_path: Path) -> None:
    payload = tmp_path / "payload"
    internal = payload / "_internal"
    library(internal / "libpcre2-8.so.0", work=tmp_path)
    library(internal / "libglib-2.0.so.0", "libpcre2-8.so.0", work=tmp_path)
    library(internal / "libsystemd.so.0", work=tmp_path)
    library(internal / "libpython3.11.so.1.0", work=tmp_path)
    library(internal / "libffi.so.8", work=tmp_path)
    library(internal / "_ctypes.so", "libffi.so.8", "libglib-2.0.so.0", work=tmp_path)
    library(payload / "uphaul", work=tmp_path)
    libraries.copy_program(Context.here(ROOT, payload), tmp_path / "copy")
    kept = sorted(file.name for file in (tmp_path / "copy/_internal").iterdir())
    assert kept == ["_ctypes.so", "libffi.so.8", "libpython3.11.so.1.0"]


@pytest.mark.parametrize(
    ("head", "is_taken"),
    [(b"\x7fELF\x02\x01\x01\x00AI\x02", True), (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00", False)],
)
def test_a_runtime_is_known_by_its_first_bytes(
    head: bytes, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runtime").write_bytes(head)
    monkeypatch.setenv(appimage.RUNTIME, str(tmp_path / "runtime"))
    assert (appimage.obstacle(Context.here(ROOT)) is None) == is_taken
