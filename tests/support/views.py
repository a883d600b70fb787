"""Builds the frozen views that the window shows, with only what a test is about."""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.batch import BatchView, IntakeReport
from app.domain.events import Frame, Link, ServerView, Totals
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import TransferView

NOW = 1_795_000_000.0
EMBEDDED = ServerView("embedded", "This computer", "http://127.0.0.1:1", embedded=True, link=Link.READY)
LAB = ServerView("lab", "lab", "https://lab.example", embedded=False, link=Link.READY)


def transfer(
    number: int,
    state: TransferState = TransferState.QUEUED,
    *,
    batch_id: str = "b1",
    name: str | None = None,
    folder: str = "",
    size_bytes: int = 1000,
    done_bytes: int = 0,
    speed_bps: float = 0.0,
    ending: CancelEnding | None = None,
    answer: str = "",
    stage: str = "",
    stage_share: float | None = None,
) -> TransferView:
    """Return the view of transfer *number* of a batch; its id is ``t<number>``."""
    return TransferView(
        id=f"t{number}",
        batch_id=batch_id,
        position=number,
        name=name if name is not None else f"file {number:06}.bin",
        folder=folder,
        size_bytes=size_bytes,
        done_bytes=done_bytes,
        state=state,
        speed_bps=speed_bps,
        failure=None,
        ending=ending,
        answer=answer,
        sha256=None,
        retry_at=None,
        stage=stage,
        stage_share=stage_share,
    )


def batch(
    batch_id: str = "b1",
    state: BatchState = BatchState.UPLOADING,
    files: dict[TransferState, int] | None = None,
    *,
    name: str = "Holiday",
    server: str = "This computer",
    created_at: float = NOW,
    report: IntakeReport | None = None,
) -> BatchView:
    """Return the view of a batch with these counts of files by state."""
    counts = files or {}
    total = sum(counts.values())
    done = counts.get(TransferState.COMPLETED, 0)
    return BatchView(
        id=batch_id,
        name=name,
        server=server,
        state=state,
        files=counts,
        total_files=total,
        done_files=done,
        total_bytes=total * 1000,
        done_bytes=done * 1000,
        progress=done / total if total else 0.0,
        done_share=done / total if total else 0.0,
        failed_share=counts.get(TransferState.FAILED, 0) / total if total else 0.0,
        cancelled_share=counts.get(TransferState.CANCELLED, 0) / total if total else 0.0,
        speed_bps=0.0,
        left_s=None,
        created_at=created_at,
        started_at=None,
        finished_at=None,
        retry_at=None,
        report=report,
        ending=None,
        answer="",
        folder=None,
    )


def frame(
    batches: Sequence[BatchView] = (),
    transfers: Sequence[TransferView] = (),
    *,
    removed: Sequence[str] = (),
    servers: Sequence[ServerView] = (EMBEDDED,),
    totals: Totals | None = None,
) -> Frame:
    """Return a frame with these changes."""
    return Frame(tuple(batches), tuple(transfers), tuple(removed), tuple(servers), totals or Totals())


def moved(row: TransferView, state: TransferState, done_bytes: int | None = None) -> TransferView:
    """Return *row* in another state."""
    return replace(row, state=state, done_bytes=row.done_bytes if done_bytes is None else done_bytes)
