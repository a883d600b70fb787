"""The Flatpak: the frozen program in a tree as Flatpak wants it, and a manifest by which flatpak-builder packs that tree.

files/{bin, lib/uphaul, share/{applications, icons, metainfo, app-info}}  ─► /app, in the bundle

Flatpak shows to the desktop only what is named by the application's id. We name it so, and make the catalogue for software
centres (app-info), ourselves: Debian 12's flatpak-builder asks the Sdk for a program that Sdks have no more since 24.08.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from common import frozen
from common.context import Context, Stop, lacking, only_on
from linux import libraries, tree

RUNTIME, SDK, RUNTIME_VERSION = "org.freedesktop.Platform", "org.freedesktop.Sdk", "25.08"
BRANCH = "stable"
# The window and its tray, sending to servers, the person's files (a drop is a path), secrets and notifications.
PERMISSIONS = (
    "--share=ipc",
    "--share=network",
    "--socket=wayland",
    "--socket=fallback-x11",
    "--filesystem=host:ro",
    "--talk-name=org.freedesktop.Notifications",
    "--talk-name=org.freedesktop.secrets",
    "--talk-name=org.kde.StatusNotifierWatcher",
)
COMPOSE = ("appstreamcli", "compose")


def obstacle(context: Context) -> str | None:
    """Say why it cannot be built here, or None."""
    if reason := (
        only_on("linux", "Linux") or frozen.obstacle() or lacking("flatpak-builder", "flatpak", "readelf")
    ):
        return reason
    try:
        context.run([*COMPOSE, "--help"])
    except (Stop, OSError):
        return f"Not installed here: `{' '.join(COMPOSE)}` (in Debian, the package appstream-compose)."
    try:
        for name in (RUNTIME, SDK):
            context.run(["flatpak", "info", f"{name}//{RUNTIME_VERSION}"])
    except Stop:
        return f"Flatpak's runtime {RUNTIME} {RUNTIME_VERSION} and its Sdk are not installed here."
    return None


def build(context: Context) -> list[Path]:
    """Build the bundle."""
    product, work = context.product, context.folder("flatpak")
    manifest = write_manifest(context, work)
    builder = ["flatpak-builder", "--force-clean", f"--repo={work / 'repo'}", f"--default-branch={BRANCH}"]
    context.run([*builder, work / "build", manifest], cwd=work)
    file = context.dist / f"{product.name}-{product.version}.flatpak"
    context.run(["flatpak", "build-bundle", work / "repo", file, product.id, BRANCH])
    return [file]


def write_manifest(context: Context, work: Path) -> Path:
    """Write the manifest and what it packs into *work*; return its path."""
    name, root = context.product.name, work / "files"
    libraries.copy_program(context, root / "lib" / name)
    (root / "bin").mkdir()
    (root / "bin" / name).symlink_to(f"../lib/{name}/{name}")
    share(context, root)
    file = work / f"{context.product.id}.json"
    file.write_text(json.dumps(manifest(context), indent=2) + "\n", encoding="utf-8")
    return file


def share(context: Context, root: Path) -> None:
    """Write *root*/share: menus, icons and metainfo by the names that Flatpak lets out, and the catalogue of them."""
    everything = context.folder("flatpak-tree")
    tree.share(context, everything)
    for kind in ("applications", "icons", "metainfo"):
        shutil.move(everything / "usr/share" / kind, root / "share" / kind)
    shutil.rmtree(everything)
    name, by_id = context.product.name, context.product.id
    for file in (root / "share").rglob(f"{name}*.*"):
        file.rename(file.with_name(by_id + file.name.removeprefix(name)))
    for file in (*root.glob("share/applications/*"), *root.glob("share/metainfo/*")):
        text = file.read_text(encoding="utf-8")
        text = text.replace(f"Icon={name}\n", f"Icon={by_id}\n")
        tree.put(file, text.replace(f">{name}.desktop<", f">{by_id}.desktop<"))
    _catalogue(context, root)


def _catalogue(context: Context, root: Path) -> None:
    """Write share/app-info, from which a software centre shows the bundle before it is installed."""
    folder = root / "share/app-info"
    context.run(
        [
            *COMPOSE,
            "--no-net",
            "--prefix=/",
            f"--origin={context.product.id}",
            f"--components={context.product.id}",
            f"--result-root={root}",
            f"--data-dir={folder / 'xmls'}",
            f"--icons-dir={folder / 'icons/flatpak'}",
            root,
        ]
    )


def manifest(context: Context) -> dict[str, object]:
    """Return the manifest, in the order of flatpak-manifest(5)."""
    product = context.product
    return {
        "id": product.id,
        "runtime": RUNTIME,
        "runtime-version": RUNTIME_VERSION,
        "sdk": SDK,
        "command": product.name,
        "finish-args": list(PERMISSIONS),
        "build-options": {"strip": False, "no-debuginfo": True},
        "appstream-compose": False,
        "modules": [
            {
                "name": product.name,
                "buildsystem": "simple",
                "build-commands": ["cp -a bin lib share /app/"],
                "sources": [{"type": "dir", "path": "files"}],
            }
        ],
    }
