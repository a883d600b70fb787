"""What an adapter is told of a transfer."""

from collections.abc import Callable, Sequence

from app.domain.batch import Batch
from app.domain.transfer import Transfer
from app.remote.base import Outgoing


def outgoing_of(
    transfer: Transfer, batch: Batch, neighbours: Callable[[], Sequence[Outgoing]] = tuple
) -> Outgoing:
    """Return the frozen description of a transfer; its batch must be open at the server, where there are batches."""
    return Outgoing(
        key=transfer.key,
        relative_path=transfer.relative_path,
        size_bytes=transfer.size_bytes,
        mtime_ns=transfer.mtime_ns,
        remote_batch_id=batch.remote_id,
        remote_id=transfer.remote_id,
        batch_key=batch.id,
        target=batch.target,
        begun_at=transfer.begun_at,
        neighbours=neighbours,
    )
