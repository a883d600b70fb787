"""The bar of a batch adds up: what arrived, what failed and what was cancelled are parts of one whole."""

import pytest

from app.domain.state import BatchState, TransferState
from tests.support.views import batch
from ui.models.columns import arrived_share, batch_bar

_S = TransferState


@pytest.mark.parametrize(
    "state,files,arrived,whole",
    [
        (BatchState.PARTIAL, {_S.COMPLETED: 117, _S.FAILED: 3}, 0.975, 1.0),
        (BatchState.CANCELLED, {_S.COMPLETED: 25, _S.CANCELLED: 75}, 0.25, 1.0),
        (BatchState.UPLOADING, {_S.COMPLETED: 50, _S.QUEUED: 50}, 0.5, 0.5),
        (BatchState.CANCELLED, {_S.CANCELLED: 10}, 0.0, 1.0),
    ],
)
def test_what_arrived_is_not_less_because_something_failed(
    state: BatchState, files: dict[TransferState, int], arrived: float, whole: float
) -> None:
    row = batch("b", state=state, files=files)
    assert (arrived_share(row), sum(share for share, _ in batch_bar(row).segments)) == pytest.approx(
        (arrived, whole)
    )
