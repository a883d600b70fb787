"""One thin module an API; this table says which there are."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.server.api.room import Api
    from app.server.core import Core

ROOMS = ("vuemantics", "directdrive", "cell_segmentation_hub", "doorito")
"""Modules here with a `mount(core) -> Api`."""
NAMES = tuple(module.replace("_", "-") for module in ROOMS)
"""What `--root-api` takes."""


def mount_all(core: Core) -> list[Api]:
    """Build every API over one core."""
    present = [name for name in ROOMS if find_spec(f"{__name__}.{name}") is not None]
    modules = [import_module(f"{__name__}.{name}") for name in present]
    return [module.mount(core) for module in modules if hasattr(module, "mount")]
