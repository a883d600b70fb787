"""What packages are made from, without any packaging tool: the one description, templates, completions, sums, Qt's data."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
from common.context import Context, Product, Stop
from common.sbom import compiled_in
from linux import appimage, completions, copyright, flatpak, icu, man, tree
from linux.describe_parser import described

from app import __version__, autostart
from build import SUMS, write_sums

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="context")
def made_context(tmp_path: Path) -> Context:
    """The checkout's own description, with folders that are thrown away."""
    product = Product.read(ROOT / "pyproject.toml")
    return Context(
        root=ROOT, dist=tmp_path, work=tmp_path / "work", product=product, epoch_seconds=1_700_000_000
    )


def test_the_one_description_fills_every_field(context: Context) -> None:
    empty = [field.name for field in fields(context.product) if not getattr(context.product, field.name)]
    assert (empty, context.product.version) == ([], __version__)


def test_a_description_with_a_hole_is_named() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    del document["tool"]["uphaul"]["packaging"]["publisher"]
    with pytest.raises(Stop, match="lacks 'publisher'"):
        Product.of(document)


def test_no_template_keeps_a_hole(context: Context) -> None:
    filled = [tree.filled(context, file.name) for file in sorted(tree.FILES.iterdir())]
    assert [text for text in filled if "@NAME@" in text or "@TITLE@" in text or "@ID@" in text] == []


def test_the_action_has_no_line_that_pcmanfm_stumbles_over(context: Context) -> None:
    """Its libfm 1.3.2 crashes while it reads Schemes=, and shows Tooltip= in place of the name."""
    lines = tree.filled(context, "uphaul-action.desktop").splitlines()
    assert [line for line in lines if line.startswith(("Schemes=", "Tooltip="))] == []


def test_the_unit_keeps_the_token_out_of_the_journal(context: Context) -> None:
    """The first line on standard output has the token; what goes wrong is said on standard error, and is for the journal."""
    unit = tree.filled(context, "uphaul-serve.service").splitlines()
    outputs = [line for line in unit if line.startswith("Standard")]
    assert outputs == ["StandardOutput=truncate:%t/uphaul-serve.json", "StandardError=journal"]


def test_the_unit_asks_for_nothing_that_needs_a_capability_of_root(context: Context) -> None:
    """A user's systemd cannot take capabilities away where it gets no user namespace: it would not start the server at all."""
    takers = (
        "CapabilityBoundingSet",
        "ProtectClock",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "PrivateDevices",
    )
    unit = tree.filled(context, "uphaul-serve.service").splitlines()
    assert ([line for line in unit if line.startswith(takers)], "PrivateUsers=yes" in unit) == ([], True)


def test_the_metainfo_says_what_pyproject_says(context: Context) -> None:
    found = ElementTree.fromstring(tree.filled(context, "metainfo.xml", xml=True))
    release = found.find("releases/release")
    assert release is not None
    assert (found.findtext("id"), release.get("version"), len(found.findall("description/p"))) == (
        context.product.id,
        context.product.version,
        len(context.product.description),
    )


def test_no_pin_of_the_bundle_differs_from_the_lock() -> None:
    pins = [
        {
            line.strip(" \\")
            for line in (ROOT / "requirements" / name).read_text().splitlines()
            if "==" in line
        }
        for name in ("bundle.txt", "lock.txt")
    ]
    assert pins[0] - pins[1] == set()


def test_sums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "b.deb").write_bytes(b"abc")
    (tmp_path / "a.json").write_bytes(b"")
    write_sums(tmp_path)
    write_sums(tmp_path)
    assert (tmp_path / SUMS).read_text() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.json\n"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.deb\n"
    )


def test_the_copyright_file_keeps_every_text_but_those_that_debian_has(context: Context) -> None:
    apache = "Apache License\nVersion 2.0, January 2004\nlong\nEND OF TERMS AND CONDITIONS"
    parts = [
        {"name": "Uphaul", "version": "1", "licence": "MIT", "text": "MIT\n\nCopyright (c) Us\n\nDo it.\n"},
        {"name": "PIL.low", "version": "2", "licence": "MIT-CMU", "text": f"first\n\n{apache}\nlast"},
        {"name": "Python", "version": "3.11.2", "licence": "PSF-2.0", "text": "its own"},
    ]
    said = copyright.text(context.product, 2026, parts, ["PIL_low-2.dist-info", "pil_low"])
    paragraphs = said.split("\n\n")
    assert paragraphs[1:] == [
        "Files: *\nCopyright: 2026 The Uphaul authors\nLicense: Expat\n Do it.",
        "Files: usr/lib/uphaul/_internal/PIL_low-2.dist-info/* usr/lib/uphaul/_internal/pil_low/*\n"
        "Copyright: the authors of PIL.low 2\nLicense: PIL.low-2\n Declared by its authors as: MIT-CMU\n .\n first\n .\n"
        " The text of this licence is in /usr/share/common-licenses/Apache-2.0.\n last",
        "Files: usr/lib/uphaul/_internal/base_library.zip usr/lib/uphaul/_internal/libpython* usr/lib/uphaul/_internal/python3*\n"
        "Copyright: the authors of Python 3.11.2\nLicense: Python-3.11.2\n Declared by its authors as: PSF-2.0\n .\n its own\n",
    ]


def test_what_a_package_has_compiled_in_is_in_the_bill(tmp_path: Path) -> None:
    folder = tmp_path / "pillow-13.0.0.dist-info" / "sboms"
    folder.mkdir(parents=True)
    parts = [
        {
            "type": "library",
            "bom-ref": "/home/somebody",
            "name": "libtiff",
            "version": "4.7",
            "purl": "pkg:generic/libtiff",
        },
        {"type": "library", "name": "pybind11", "scope": "excluded"},
        {"type": "library", "name": "libavif", "version": "1"},
        {"type": "library", "name": "Pillow", "version": "13.0.0"},
    ]
    (folder / "a.cdx.json").write_text(json.dumps({"components": parts}))
    assert list(compiled_in(tmp_path)) == [
        {
            "type": "library",
            "bom-ref": "pillow/libtiff@4.7",
            "name": "libtiff",
            "version": "4.7",
            "purl": "pkg:generic/libtiff",
        }
    ]


def small_parser() -> argparse.ArgumentParser:
    """A program with what a completion can get wrong: quotes, brackets, colons, choices, commands below commands."""
    parser = argparse.ArgumentParser(prog="uphaul", description="Sends.", epilog="The end.")
    commands = parser.add_subparsers()
    send = commands.add_parser("send", help="it's quick")
    send.add_argument("--how", choices=("fast", "slow"), help="speed [1:2]")
    send.add_argument("paths", nargs="+", metavar="PATH", help="what")
    commands.add_parser("server", help="servers").add_subparsers().add_parser("add", help="one more")
    return parser


def test_the_commands_of_a_parser_are_walked() -> None:
    top = described(small_parser(), "uphaul", "")
    words = [words for words, _command in completions.walk(top)]
    assert words == ["uphaul", "uphaul send", "uphaul server", "uphaul server add"]


def test_fish_offers_the_choices_of_an_option() -> None:
    lines = completions.fish(described(small_parser(), "uphaul", "")).splitlines()
    wanted = (
        "complete -c uphaul -n '__fish_seen_subcommand_from send' -l how -x -a 'fast slow' -d 'speed [1:2]'"
    )
    assert wanted in lines


def test_zsh_gets_a_colon_that_it_understands() -> None:
    script = completions.zsh(described(small_parser(), "uphaul", ""))
    assert "'--how[speed (1\\:2)]:value:(fast slow)'" in script


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash of which we know what it is")
def test_bash_completes_what_the_parser_has() -> None:
    script = completions.bash(described(small_parser(), "uphaul", ""))
    asked = (
        f"compopt() {{ :; }}; {script}\nfor words in 'uphaul s' 'uphaul send --how f' 'uphaul server a' 'uphaul server --port a'; do "
        "COMP_WORDS=($words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _uphaul; echo ${COMPREPLY[@]}; done"
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "send server\nfast\nadd\n\n"


def test_the_man_page_escapes_what_man_would_take_for_its_own(context: Context) -> None:
    page = man.page({**described(small_parser(), "uphaul", ".TH\\x"), "epilog": "'end"}, context.product, 0)
    assert ("\\&.TH\\ex" in page, "\n\\&'end" in page, "\\fB\\-\\-how\\fR" in page) == (True, True, True)


def test_qts_data_keeps_sorting_and_loses_the_rest() -> None:
    items = {
        "icudt73l/coll/de.res": b"rules",
        "icudt73l/curr/de.res": b"money",
        "icudt73l/ucase.icu": b"letters",
    }
    header = (32).to_bytes(2, "little") + b"\xda\x27" + bytes(8) + b"CmnD" + bytes(16)
    blob = b"elf" + icu.write(header, items)

    _header, found = icu.read(blob)
    kept = {name: data.rstrip(b"\0") for name, data in found.items() if icu.is_kept(name.partition("/")[2])}

    assert kept == {"icudt73l/coll/de.res": b"rules", "icudt73l/ucase.icu": b"letters"}


def test_the_flatpak_may_read_files_and_write_none(context: Context) -> None:
    arguments = flatpak.manifest(context)["finish-args"]
    assert isinstance(arguments, list)
    assert [word for word in arguments if word.startswith("--filesystem")] == ["--filesystem=host:ro"]


@pytest.mark.skipif(sys.platform == "win32", reason="AppImages are for Linux")
@pytest.mark.parametrize(("is_ours", "told"), [(True, "/home/anna/Uphaul.AppImage"), (False, "")])
def test_an_appimage_is_known_to_the_program_and_to_nothing_else(
    is_ours: bool, told: str, tmp_path: Path
) -> None:
    """The second time, the variables are those of a terminal that came as an AppImage itself."""
    program = tmp_path / "usr/lib/uphaul/uphaul"
    tree.put(tmp_path / "AppRun", appimage.APP_RUN.format(name="uphaul"))
    tree.put(program, '#!/bin/sh\necho "$# $1"\nenv\n')
    (tmp_path / "AppRun").chmod(0o755)
    program.chmod(0o755)
    of_the_runtime = {
        "APPIMAGE": "/home/anna/Uphaul.AppImage",
        "APPDIR": str(tmp_path if is_ours else tmp_path.parent),
        "ARGV0": "c",
        "OWD": "d",
    }
    done = subprocess.run(
        [tmp_path / "AppRun", "a b", "c"],
        env={"PATH": os.environ["PATH"], autostart.APPIMAGE: "/another", **of_the_runtime},
        capture_output=True,
        text=True,
        check=True,
    )
    said, *lines = done.stdout.splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    left = variables.keys() & of_the_runtime.keys()
    assert (said, variables.get(autostart.APPIMAGE), left) == ("2 a b", told, set())


@pytest.mark.skipif(sys.platform != "linux", reason="what a child inherits is read from /proc")
def test_a_frozen_program_hands_nothing_of_its_own_to_what_it_starts() -> None:
    """Not the folder of its libraries, not the bootloader's notes, no open file; what was set before is back."""
    hook = ROOT / "packaging/common/clean_children.py"
    code = (
        f"import os, runpy; runpy.run_path({str(hook)!r}); "
        'os.execvp("sh", ["sh", "-c", "ls /proc/self/fd | wc -l; env"])'
    )
    ours = {"LD_LIBRARY_PATH": "/ours", "LD_LIBRARY_PATH_ORIG": "/before", "_PYI_ARCHIVE_FILE": "/ours"}
    read_end, write_end = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **ours},
        pass_fds=[read_end, write_end],
        capture_output=True,
        text=True,
        check=True,
    )
    os.close(read_end)
    os.close(write_end)
    files, *variables = done.stdout.splitlines()
    left = sorted(line for line in variables if "LIBRARY" in line or "PYI" in line)
    standard_and_the_list = 4
    assert (int(files), left) == (standard_and_the_list, ["LD_LIBRARY_PATH=/before"])


def test_build_says_for_each_target_whether_and_why_not() -> None:
    script = ROOT / "packaging" / "build.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=50
    )
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert (done.returncode, [line[0] for line in lines]) == (
        0,
        ["deb", "appimage", "flatpak", "windows", "macos"],
    )
    assert all(line[1].endswith((".", "here")) or ")" in line[1] for line in lines)


def test_the_folder_does_not_hide_the_package_of_that_name() -> None:
    found = importlib.util.find_spec("packaging.version")
    assert found is not None
