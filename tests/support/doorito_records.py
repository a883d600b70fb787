"""What a pretended Doorito with sessions keeps, and the ways in which it writes part numbers."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

OPEN = ("INIT", "IN_PROGRESS")


@dataclass
class Batch:
    """A batch has no counters: they are counted when it is asked for."""

    id: str
    told: dict[str, Any]


@dataclass
class Session:
    """An upload session and its file."""

    id: str
    key: str | None
    name: str
    size_bytes: int
    chunk_bytes: int
    batch_id: str | None
    status: str = "INIT"
    parts: dict[int, bytes] = field(default_factory=dict)
    content: bytes | None = None
    cancelled_at: str | None = None
    work: asyncio.Task[None] | None = None

    @property
    def total_parts(self) -> int:
        """Return ceil(size / chunk)."""
        return -(-self.size_bytes // self.chunk_bytes)

    @property
    def file_status(self) -> str:
        """The status of its file."""
        return {"COMPLETE": "STORED", "FAILED": "FAILED", "ABORTED": "FAILED"}.get(self.status, "UPLOADING")

    def part_bytes(self, number: int) -> int:
        """Return how long a part must be."""
        return min(self.chunk_bytes, self.size_bytes - (number - 1) * self.chunk_bytes)


def written(numbers: list[int], how: str) -> object:
    """Write part numbers in one of the ways of FakeDoorito.formats_ranges."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    ways: dict[str, object] = {
        "list": numbers,
        "pairs": spans,
        "comma": ",".join(texts),
        "brackets": f"[{', '.join(texts)}]",
        "mixed": [int(text) if text.isdigit() else text for text in texts],
        "texts": texts,
        "none": [],
    }
    return ways[how]
