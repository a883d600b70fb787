"""The .deb: the frozen program below /usr/lib/uphaul without what Debian's own packages have, and everything around it.

Same commit, same Python, same Debian: same file, byte for byte.
"""

from __future__ import annotations

import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from common import frozen
from common.context import Context, Stop, lacking, only_on, say, settle
from linux import copyright, tree

MOST_INSTALLED_BYTES = 130_000_000
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What dlopen() asks for: no linker tells of it. Fonts, or every letter is a box.
BY_NAME = ("fonts-dejavu-core | fonts-freefont-ttf | fonts-liberation",)
# Without desktop-file-utils no link is ours, without hicolor-icon-theme no icon has a name: a desktop has both.
RECOMMENDS = (
    "desktop-file-utils",
    "gnome-keyring | kwalletmanager | keepassxc",
    "hicolor-icon-theme",
    "xdg-utils",
)
SUGGESTS = ("python3-nautilus",)
OVERRIDES = """\
# The program is frozen with its own Python and the versions of its libraries that were tested together; what Debian 12 has
# as a shared library is used from there (packaging/linux/deb.py), and the rest is listed in the copyright file and the SBOM.
uphaul: embedded-library
# The bootloader of PyInstaller is taken as it is from its hash-pinned package; the archive of modules behind it would not
# survive being stripped.
uphaul: hardening-no-pie
uphaul: unstripped-binary-or-object
# Libraries that hold data alone, and plug-ins whose host has loaded what they need.
uphaul: shared-library-lacks-prerequisites
"""


def obstacle(context: Context) -> str | None:
    """Say why a .deb cannot be built here, or None."""
    if reason := only_on("linux", "Linux") or frozen.obstacle():
        return reason
    if sys.base_prefix != "/usr":
        # Another one tells the loader to look for libraries where it was built.
        return "The Python in a .deb must be Debian's own: start this with /usr/bin/python3."
    if platform.machine() not in ARCHITECTURES:
        return f"No name of Debian's is known for this machine ({platform.machine()})."
    return lacking("dpkg-deb", "dpkg-shlibdeps", "dpkg-query", "as", "ld", "strip")


def build(context: Context) -> list[Path]:
    """Build it."""
    product = context.product
    root = context.folder("deb", "root")
    program = root / "usr" / "lib" / product.name
    shutil.copytree(frozen.payload(context), program, symlinks=True)
    leave_to_debian(program)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin" / product.name).symlink_to(f"../lib/{product.name}/{product.name}")
    tree.share(context, root)
    _documents(context, root)
    _set_modes(root)
    size = sum(file.lstat().st_size for file in root.rglob("*") if not file.is_dir())
    if size > MOST_INSTALLED_BYTES:
        raise Stop(
            f"Installed, it takes {size / 1e6:.0f} MB; {MOST_INSTALLED_BYTES / 1e6:.0f} MB are allowed."
        )
    say(f"Installed, it takes {size / 1e6:.0f} MB.")
    control = _control(context, root, dependencies(context, program))
    tree.put(root / "DEBIAN/control", control)
    tree.put(root / "DEBIAN/md5sums", _md5sums(context, root))
    settle([root, *root.rglob("*")], context.epoch_seconds)
    deb = context.dist / f"{product.name}_{product.version}_{ARCHITECTURES[platform.machine()]}.deb"
    context.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", root, deb])
    return [deb]


def leave_to_debian(program: Path) -> None:
    """Remove the libraries that belong to a package of Debian's; Python's own stays, because no Python is asked for."""
    # Python's modules lie beside the libraries, and Debian has packages with modules of the same names: those are not meant.
    libraries = [file for file in (program / "_internal").glob("lib*.so*") if not file.is_symlink()]
    for file in libraries:
        if file.name.startswith("libpython"):
            continue
        found = subprocess.run(
            ["dpkg-query", "--search", f"*/{file.name}"], capture_output=True, text=True, check=False
        )
        if found.returncode == 0:
            file.unlink()


def dependencies(context: Context, program: Path) -> list[str]:
    """Return what the binaries need of Debian, as dpkg-shlibdeps finds it, and what is loaded by name."""
    work = context.folder("deb", "shlibdeps")
    tree.put(
        work / "debian/control",
        f"Source: {context.product.name}\n\nPackage: {context.product.name}\nArchitecture: any\n",
    )
    own = sorted({str(file.parent) for file in program.rglob("*.so*")})
    binaries = [file for file in sorted(program.rglob("*")) if _is_elf(file)]
    said = context.run(
        ["dpkg-shlibdeps", "-O", "--ignore-missing-info", *(f"-l{folder}" for folder in own), *binaries],
        cwd=work,
    )
    found = said.strip().removeprefix("shlibs:Depends=").split(", ")
    names = {re.split(r"[ :]", entry)[0] for entry in found}
    if "libc6" not in names or any(name.startswith("python") for name in names):
        raise Stop(f"dpkg-shlibdeps found {said!r}, which cannot be right.")
    return sorted([*found, *BY_NAME])


def _is_elf(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(4) == b"\x7fELF"


def _documents(context: Context, root: Path) -> None:
    """Write changelog, copyright and lintian's overrides."""
    name, folder = context.product.name, root / "usr/share/doc" / context.product.name
    tree.put(folder / "changelog.gz", tree.packed(_changelog(context)))
    tree.put(folder / "NEWS.gz", tree.packed((context.root / "CHANGELOG.md").read_text(encoding="utf-8")))
    year = datetime.fromtimestamp(context.epoch_seconds, UTC).year
    folders = sorted(file.name for file in (root / "usr/lib" / name / "_internal").iterdir())
    parts = copyright.parts_of(context, frozen.payload(context))
    tree.put(folder / "copyright", copyright.text(context.product, year, parts, folders))
    tree.put(root / "usr/share/lintian/overrides" / name, OVERRIDES)


def _changelog(context: Context) -> str:
    product = context.product
    when = format_datetime(datetime.fromtimestamp(context.epoch_seconds, UTC))
    entry = f"  * Version {product.version}: what is new is in /usr/share/doc/{product.name}/NEWS.gz."
    return f"{product.name} ({product.version}) unstable; urgency=medium\n\n{entry}\n\n -- {product.maintainer}  {when}\n"


def _control(context: Context, root: Path, depends: Iterable[str]) -> str:
    product = context.product
    kibibytes = sum(-(-file.lstat().st_size // 1024) if not file.is_dir() else 1 for file in root.rglob("*"))
    description = "\n .\n".join(_wrapped(paragraph) for paragraph in product.description)
    return f"""\
Package: {product.name}
Version: {product.version}
Architecture: {ARCHITECTURES[platform.machine()]}
Maintainer: {product.maintainer}
Installed-Size: {kibibytes}
Depends: {", ".join(depends)}
Recommends: {", ".join(RECOMMENDS)}
Suggests: {", ".join(SUGGESTS)}
Section: net
Priority: optional
Homepage: {product.homepage}
Description: desktop upload manager with confirmed cancelling
{description}
"""


def _wrapped(paragraph: str) -> str:
    lines, line = [], ""
    for word in paragraph.split():
        if len(line) + len(word) > 76:
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    return "\n".join([*lines, line])


def _md5sums(context: Context, root: Path) -> str:
    files = sorted(
        file.relative_to(root).as_posix()
        for file in (root / "usr").rglob("*")
        if file.is_file() and not file.is_symlink()
    )
    return context.run(["md5sum", *files], cwd=root)


def _set_modes(root: Path) -> None:
    """What is a program stays one; everything else is for everybody to read. The umask of who builds has no say."""
    for file in (root, *root.rglob("*")):
        if file.is_dir():
            file.chmod(0o755)
        elif not file.is_symlink():
            is_program = _is_elf(file) and ".so" not in file.name and bool(file.stat().st_mode & stat.S_IXUSR)
            file.chmod(0o755 if is_program else 0o644)
