"""The Flatpak: a manifest that is made from pyproject.toml and packs the frozen program; flatpak-builder does the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from common import frozen
from common.context import Context, Stop, lacking, only_on
from linux import tree

RUNTIME, RUNTIME_VERSION = "org.freedesktop.Platform", "24.08"
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


def obstacle(context: Context) -> str | None:
    """Say why it cannot be built here, or None."""
    if reason := only_on("linux", "Linux") or frozen.obstacle() or lacking("flatpak-builder", "flatpak"):
        return reason
    try:
        context.run(["flatpak", "info", f"{RUNTIME}//{RUNTIME_VERSION}"])
    except Stop:
        return f"Flatpak's runtime {RUNTIME} {RUNTIME_VERSION} and its Sdk are not installed here."
    return None


def build(context: Context) -> list[Path]:
    """Build the bundle."""
    product, work = context.product, context.folder("flatpak")
    manifest = write_manifest(context, work)
    builder = ["flatpak-builder", "--force-clean", f"--repo={work / 'repo'}"]
    context.run([*builder, work / "build", manifest], cwd=work)
    file = context.dist / f"{product.name}-{product.version}.flatpak"
    context.run(["flatpak", "build-bundle", work / "repo", file, product.id])
    return [file]


def write_manifest(context: Context, work: Path) -> Path:
    """Write the manifest and what it packs into *work*; return its path."""
    root = work / "files"
    shutil.copytree(frozen.payload(context), root / "usr" / "lib" / context.product.name, symlinks=True)
    tree.share(context, root)
    file = work / f"{context.product.id}.json"
    file.write_text(json.dumps(manifest(context), indent=2) + "\n", encoding="utf-8")
    return file


def manifest(context: Context) -> dict[str, object]:
    """Return the manifest, in the order of flatpak-manifest(5)."""
    product = context.product
    name = product.name
    return {
        "id": product.id,
        "runtime": RUNTIME,
        "runtime-version": RUNTIME_VERSION,
        "sdk": "org.freedesktop.Sdk",
        "command": name,
        "rename-desktop-file": f"{name}.desktop",
        "rename-icon": name,
        "finish-args": list(PERMISSIONS),
        "build-options": {"strip": False, "no-debuginfo": True},
        "modules": [
            {
                "name": name,
                "buildsystem": "simple",
                "build-commands": [
                    f"mkdir -p /app/lib /app/bin /app/share && cp -a usr/lib/{name} /app/lib/{name}",
                    f"ln -s ../lib/{name}/{name} /app/bin/{name}",
                    "cp -a usr/share/applications usr/share/icons usr/share/metainfo usr/share/man /app/share/",
                ],
                "sources": [{"type": "dir", "path": "files"}],
            }
        ],
    }
