"""What a Linux package has beside the program: entries of menus, icons, the man page, completions, the systemd unit.

share(context, root)  ─► root/usr/share/…, root/usr/lib/systemd/user/…: the same in the .deb and in the AppImage
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from common.context import Context
from common.frozen import product_python
from linux import completions, man

FILES = Path(__file__).parent / "files"
ICON_SIZES = (16, 22, 24, 32, 48, 64, 96, 128, 256, 512)
_HERE = Path(__file__).parent


def share(context: Context, root: Path) -> None:
    """Write everything below *root*/usr. The times of the files are settled by whoever packs them."""
    name = context.product.name
    for source, place in {
        "uphaul.desktop": f"share/applications/{name}.desktop",
        "uphaul-link.desktop": f"share/applications/{name}-link.desktop",
        "uphaul-dolphin.desktop": f"share/kio/servicemenus/{name}.desktop",
        "uphaul.nemo_action": f"share/nemo/actions/{name}.nemo_action",
        "uphaul-nautilus.py.in": f"share/nautilus-python/extensions/{name}-nautilus.py",
        "uphaul-action.desktop": f"share/file-manager/actions/{name}.desktop",
        "uphaul-thunar.desktop": f"share/Thunar/sendto/{name}.desktop",
        "uphaul-serve.service": f"lib/systemd/user/{name}-serve.service",
    }.items():
        put(root / "usr" / place, filled(context, source))
    put(
        root / "usr/share/metainfo" / f"{context.product.id}.metainfo.xml",
        filled(context, "metainfo.xml", xml=True),
    )
    _icons(context, root / "usr/share/icons/hicolor")
    _from_parser(context, root / "usr/share")


def filled(context: Context, source: str, *, xml: bool = False) -> str:
    """Return the template *source* of files/ with the product's words in it."""
    product = context.product
    words = {
        "DATE": datetime.fromtimestamp(context.epoch_seconds, UTC).date().isoformat(),
        "DOCUMENTATION": product.urls["documentation"],
        "HOMEPAGE": product.homepage,
        "ID": product.id,
        "ISSUES": product.urls["issues"],
        "KEYWORDS": "".join(f"{word};" for word in product.keywords),
        "LICENCE": product.licence,
        "NAME": product.name,
        "PUBLISHER": product.publisher,
        "SCHEME": product.scheme,
        "SUMMARY": product.summary.removesuffix("."),
        "TITLE": product.title,
        "VERSION": product.version,
    }
    text = (FILES / source).read_text(encoding="utf-8")
    for key, value in words.items():
        text = text.replace(f"@{key}@", escape(value) if xml else value)
    paragraphs = "\n".join(f"    <p>{escape(paragraph)}</p>" for paragraph in product.description)
    return text.replace("@PARAGRAPHS@", paragraphs)


def parser(context: Context) -> Mapping[str, object]:
    """Return the command line's parser as describe_parser.py tells it."""
    python = product_python(context)
    env = {"PYTHONPATH": str(context.root), "PYTHONDONTWRITEBYTECODE": "1"}
    told: Mapping[str, object] = json.loads(context.run([python, _HERE / "describe_parser.py"], env=env))
    return told


def put(file: Path, text: str | bytes) -> None:
    """Write *file*, and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o644)


def packed(text: str) -> bytes:
    """Return *text* as gzip writes it without name and time."""
    return gzip.compress(text.encode(), 9, mtime=0)


def _icons(context: Context, folder: Path) -> None:
    source = context.root / "resources" / "icons"
    drawn = context.folder("icons")
    python = product_python(context)
    context.run([python, _HERE / "draw_icons.py", source / "uphaul.svg", drawn, *map(str, ICON_SIZES)])
    name = context.product.name
    for size in ICON_SIZES:
        put(folder / f"{size}x{size}/apps/{name}.png", (drawn / f"{size}.png").read_bytes())
    put(folder / f"scalable/apps/{name}.svg", (source / "uphaul.svg").read_bytes())
    put(folder / f"symbolic/apps/{name}-symbolic.svg", (source / "uphaul-symbolic.svg").read_bytes())
    shutil.rmtree(drawn)


def _from_parser(context: Context, share_folder: Path) -> None:
    top, name = parser(context), context.product.name
    put(share_folder / f"man/man1/{name}.1.gz", packed(man.page(top, context.product, context.epoch_seconds)))
    put(share_folder / f"bash-completion/completions/{name}", completions.bash(top))
    put(share_folder / f"zsh/vendor-completions/_{name}", completions.zsh(top))
    put(share_folder / f"fish/vendor_completions.d/{name}.fish", completions.fish(top))
