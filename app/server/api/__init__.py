"""One thin module an API; this table says which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.server.api.room import Api
    from app.server.core import Core

NAMES = ("vuemantics", "directdrive", "cell-segmentation-hub", "doorito")
"""What `--root-api` takes: the names of the APIs that were other servers' first."""


def mount_all(core: Core) -> list[Api]:
    """Build every API over one core."""
    # Imported late, because each room imports room.py of this package; by name, so that a frozen build sees them.
    from app.server.api import cell_segmentation_hub, directdrive, doorito, vuemantics

    return [room.mount(core) for room in (vuemantics, directdrive, cell_segmentation_hub, doorito)]
