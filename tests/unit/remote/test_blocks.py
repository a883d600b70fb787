"""Blocks of a file become bodies of requests, piece by piece."""

import pytest

from app.remote.blocks import MAX_PIECE_BYTES, MIN_PIECE_BYTES, Blocks, next_piece_bytes


class ListFeed:
    """A Feed (app.remote.base) over blocks in memory, which remembers the progress it was told."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = list(blocks)
        self.told: list[tuple[int, int]] = []

    async def seek(self, offset_bytes: int) -> None:
        assert offset_bytes == 0

    async def block(self) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""

    def sha256(self) -> str:
        return ""

    async def created(self, remote_id: str) -> None: ...

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        self.told.append((sent_bytes, accepted_bytes))


async def test_bodies_are_cut_where_they_must_be_not_where_blocks_end() -> None:
    blocks = Blocks(ListFeed(b"abcde", b"fgh", b"ij"), 0)
    bodies = [b"".join([piece async for piece in blocks.body(size)]) for size in (2, 4, 4)]
    assert bodies == [b"ab", b"cdef", b"ghij"]


async def test_read_joins_blocks() -> None:
    assert await Blocks(ListFeed(b"ab", b"cd", b"ef"), 0).read(5) == b"abcde"


async def test_progress_is_told_when_a_piece_is_out_not_before() -> None:
    feed = ListFeed(b"abc", b"de")
    body = Blocks(feed, 100).body(5)
    await anext(body)
    before = list(feed.told)
    await anext(body)
    assert (before, feed.told) == ([], [(103, 100)])


async def test_a_body_ends_early_if_the_file_does() -> None:
    assert [piece async for piece in Blocks(ListFeed(b"abc"), 0).body(10)] == [b"abc"]


@pytest.mark.parametrize(
    "piece_bytes, took_s, next_bytes",
    [
        (65536, 0.001, 131072),
        (65536, 0.2, 65536),
        (65536, 2.0, 32768),
        (MAX_PIECE_BYTES, 0.001, MAX_PIECE_BYTES),
        (MIN_PIECE_BYTES, 9.0, MIN_PIECE_BYTES),
    ],
)
def test_pieces_grow_on_fast_lines_and_shrink_on_slow_ones(
    piece_bytes: int, took_s: float, next_bytes: int
) -> None:
    assert next_piece_bytes(piece_bytes, took_s) == next_bytes
