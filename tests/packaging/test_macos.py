"""What is made on a Mac alone, as far as it can be looked at elsewhere: the property lists, the scripts, the layout."""

import plistlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command_line import ROOT

sys.path.append(str(ROOT / "packaging"))
from common.context import Context, Stop
from macos import build as macos
from macos.info import info

MACOS = ROOT / "packaging" / "macos"
SCRIPTS = sorted(MACOS.glob("*.sh"))


@pytest.fixture
def context() -> Context:
    return Context.here(ROOT)


def bundle(folder: Path, context: Context) -> Path:
    """An app bundle as PyInstaller lays one out, of stand-in files."""
    contents = folder / "Uphaul.app" / "Contents"
    for name in ("MacOS/uphaul", "MacOS/uphaul-window", "Resources/uphaul.icns"):
        (contents / name).parent.mkdir(parents=True, exist_ok=True)
        (contents / name).write_text(name)
    (contents / "Info.plist").write_bytes(
        plistlib.dumps(info(context.product) | {"CFBundleSignature": "????"})
    )
    return contents.parent


@pytest.mark.skipif(
    shutil.which("plistutil") is None, reason="Debian's package libplist-utils is not installed"
)
def test_the_property_lists_are_property_lists_to_others_too(tmp_path: Path, context: Context) -> None:
    written = tmp_path / "Info.plist"
    written.write_bytes(plistlib.dumps(info(context.product)))
    codes = [
        subprocess.run(["plistutil", "-i", file, "-o", tmp_path / "out"], check=False, timeout=20).returncode
        for file in (written, MACOS / "entitlements.plist")
    ]
    assert codes == [0, 0]


def test_info_plist_says_what_pyproject_says(context: Context) -> None:
    product = replace(context.product, version="7.8.9", title="Hauler", id="example.hauler", scheme="hauler")
    value = info(product)
    said = [value[f"CFBundle{key}"] for key in ("Name", "Identifier", "ShortVersionString", "Version")]
    assert (said, value["CFBundleURLTypes"][0]["CFBundleURLSchemes"]) == (
        ["Hauler", "example.hauler", "7.8.9", "7.8.9"],
        ["hauler"],
    )


def test_nothing_more_is_allowed_than_is_needed() -> None:
    allowed = plistlib.loads((MACOS / "entitlements.plist").read_bytes())
    assert allowed == {"com.apple.security.cs.allow-unsigned-executable-memory": True}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="Debian's package shellcheck is not installed")
def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    done = subprocess.run(["shellcheck", *SCRIPTS], capture_output=True, text=True, timeout=50, check=False)
    assert ([script.name for script in SCRIPTS], done.stdout) == (["dmg.sh", "notarise.sh", "sign.sh"], "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_without_arguments_says_what_it_wants(script: Path) -> None:
    done = subprocess.run([script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode != 0, f"usage: {script.name}" in done.stderr) == (True, True)


def test_a_whole_bundle_is_whole(tmp_path: Path, context: Context) -> None:
    macos.check(context, bundle(tmp_path, context))


def test_a_bundle_that_lacks_something_is_refused(tmp_path: Path, context: Context) -> None:
    app = bundle(tmp_path, context)
    (app / "Contents" / "MacOS" / "uphaul-window").unlink()
    with pytest.raises(Stop, match=r"lacks MacOS/uphaul-window\."):
        macos.check(context, app)


def test_a_bundle_of_another_version_is_refused(tmp_path: Path, context: Context) -> None:
    older = replace(context, product=replace(context.product, version="0.0.1"))
    with pytest.raises(
        Stop, match=r"differs from pyproject\.toml in CFBundleShortVersionString, CFBundleVersion"
    ):
        macos.check(context, bundle(tmp_path, older))


@pytest.mark.skipif(sys.platform == "darwin", reason="there it can be built")
def test_elsewhere_it_says_why_not(context: Context) -> None:
    assert macos.obstacle(context) == "This can only be built on macOS."
