"""When a batch of a server's own list was made: as people say it, and in the order of the moments."""

import time
from collections.abc import Iterator

import pytest

from app.remote.base import RemoteBatchRow, RemoteState
from app.server_words import created_order, created_text, created_tip

NOW = 1_795_255_200.0
"""21 Nov 2026, 10:00:00 UTC."""
CLOCK = "on the server's clock (it names no time zone)"


@pytest.fixture
def an_hour_ahead() -> Iterator[None]:
    """This computer's clock is an hour ahead of UTC."""
    if not hasattr(time, "tzset"):
        pytest.skip("the zone of a process cannot be set here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


def made(created: str) -> RemoteBatchRow:
    """Return a line whose server wrote this."""
    return RemoteBatchRow("r1", "Scans", RemoteState.STORED, 1, 1, 0, 1.0, created)


@pytest.mark.usefixtures("an_hour_ahead")
@pytest.mark.parametrize(
    ("created", "text", "tip"),
    [
        ("2026-11-21T09:55:00Z", "5 min ago", "21 Nov 2026, 10:55:00"),
        ("2026-11-21T11:54:59.123+02:00", "5 min ago", "21 Nov 2026, 10:54:59"),
        ("2026-03-01T23:30:00+00:00", "2 Mar 2026", "2 Mar 2026, 00:30:00"),
        ("2026-11-21T09:55:00.5", "21 Nov 2026, 09:55:00", f"21 Nov 2026, 09:55:00 {CLOCK}"),
        ("2026-11-21 09:55:00", "21 Nov 2026, 09:55:00", f"21 Nov 2026, 09:55:00 {CLOCK}"),
        *((same, same, same) for same in ("", "yesterday", "20261121", "2026-02-31T10:00:00", "0001-01-01T00:00:00Z")),
    ],
)  # fmt: skip
def test_a_moment_is_told_as_of_our_own_batches(created: str, text: str, tip: str) -> None:
    """Without a zone nobody knows how long ago it was; and what is no moment stays as the server wrote it."""
    assert (created_text(made(created), NOW), created_tip(made(created))) == (text, tip)


def test_the_order_is_that_of_the_moments() -> None:
    in_order = [
        "2025-12-31T23:59:59Z",
        "2026-11-21T12:00:00+02:00",
        "2026-11-21T10:30:00",
        "2026-11-21T10:00:00-01:00",
        "",
        "A while ago",
        "yesterday",
    ]
    assert sorted(sorted(in_order), key=lambda each: created_order(made(each))) == in_order
