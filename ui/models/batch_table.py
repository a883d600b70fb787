"""The Batches table: one row for each drop."""

from collections.abc import Callable

from PySide6.QtCore import QObject

from app.domain.batch import BatchView
from app.domain.events import Frame
from ui.models.columns import BATCH_COLUMNS
from ui.models.row_table import RowTable


class BatchTable(RowTable[BatchView]):
    """All batches that were not removed from the list."""

    def __init__(self, clock: Callable[[], float], parent: QObject | None = None) -> None:
        super().__init__(BATCH_COLUMNS, clock, parent)

    def take(self, frame: Frame) -> None:
        """Take in what a frame says of the batches."""
        if frame.batches or frame.removed_batches:
            self.apply(frame.batches, frame.removed_batches)
