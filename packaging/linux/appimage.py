"""The AppImage: the frozen program as an AppDir, in a squashfs behind AppImage's own runtime.

The runtime is a small program of the AppImage project that mounts what follows it in the same file. Debian does not have
it, and we do not download programs while we build: UPHAUL_APPIMAGE_RUNTIME names the file.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from common import frozen
from common.context import Context, lacking, only_on, settle
from linux import libraries, tree

RUNTIME = "UPHAUL_APPIMAGE_RUNTIME"
TOOLS = ("mksquashfs", "as", "ld", "readelf", "strip")
MAGIC, MAGIC_OFFSET_BYTES = b"AI\x02", 8
"""What a runtime of type 2 has in its ELF header: file managers and menus know an AppImage by it."""
APP_RUN = """\
#!/bin/sh
# What AppImage's runtime starts. Its variables are no business of the browser or the file manager that the program starts;
# our own tells the program which file is to be opened at sign-in, unless they are those of the terminal that we run in.
here=$(dirname "$(readlink -f "$0")")
[ "$(readlink -f "$APPDIR")" = "$here" ] || APPIMAGE=
export UPHAUL_APPIMAGE="$APPIMAGE"
unset APPIMAGE APPDIR ARGV0 OWD
exec "$here/usr/lib/{name}/{name}" "$@"
"""


def obstacle(context: Context) -> str | None:
    """Say why it cannot be built here, or None."""
    if reason := only_on("linux", "Linux") or frozen.obstacle() or lacking(*TOOLS):
        return reason
    runtime = Path(os.environ.get(RUNTIME, ""))
    if not runtime.is_file():
        return (
            f"AppImage's runtime (runtime-{platform.machine()}, from the releases of the AppImage project's "
            f"type2-runtime) is not here: download it, check its signature, and name it in {RUNTIME}."
        )
    with runtime.open("rb") as content:
        if not content.read(MAGIC_OFFSET_BYTES + len(MAGIC)).endswith(MAGIC):
            return f"{RUNTIME} names {runtime}, which is no runtime of an AppImage of type 2."
    return None


def build(context: Context) -> list[Path]:
    """Put the runtime before the squashfs of the AppDir."""
    image = squashfs(context, appdir(context))
    product = context.product
    file = context.dist / f"{product.name}-{product.version}-{platform.machine()}.AppImage"
    file.write_bytes(Path(os.environ[RUNTIME]).read_bytes() + image.read_bytes())
    file.chmod(0o755)
    return [file]


def appdir(context: Context) -> Path:
    """Return the AppDir: it runs as it is, by its AppRun."""
    name = context.product.name
    root = context.folder("appimage", f"{context.product.title}.AppDir")
    libraries.copy_program(context, root / "usr" / "lib" / name)
    (root / "usr/bin").mkdir()
    (root / "usr/bin" / name).symlink_to(f"../lib/{name}/{name}")
    tree.share(context, root)
    tree.put(root / "AppRun", APP_RUN.format(name=name))
    (root / "AppRun").chmod(0o755)
    tree.put(root / f"{name}.desktop", tree.filled(context, "uphaul.desktop"))
    tree.put(root / f"{name}.png", (root / f"usr/share/icons/hicolor/256x256/apps/{name}.png").read_bytes())
    (root / ".DirIcon").symlink_to(f"{name}.png")
    settle([root, *root.rglob("*")], context.epoch_seconds)
    return root


def squashfs(context: Context, root: Path) -> Path:
    """Return the AppDir as a squashfs that type2-runtime mounts. Its times are in SOURCE_DATE_EPOCH (Context.run)."""
    image = root.with_suffix(".squashfs")
    image.unlink(missing_ok=True)
    options = "-noappend -root-owned -no-xattrs -quiet -no-progress -comp zstd".split()
    context.run(["mksquashfs", root, image, *options])
    return image
