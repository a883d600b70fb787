"""The ways of bytes into a server: what each of them sends for the same load, all with the client of `wire`."""

import base64
import hashlib
import io
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from PIL import Image

from benchmarks.peers import Served
from benchmarks.wire import BLOCK_BYTES, Wire, blocks_of, side_by_side

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET_STREAM = {"Content-Type": "application/offset+octet-stream"}
JSON = {"Content-Type": "application/json"}
BOUNDARY = "uphaul-benchmark"
LOOK_EVERY_S = 0.2
LONGEST_PROCESSING_S = 600.0
_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class Load:
    """So many pieces of one length: each is *block* again and again, and ends with its own number."""

    block: bytes
    pieces: int
    piece_bytes: int
    is_one_file: bool = False
    """Whether the pieces are the parts of one file, and not files."""

    @property
    def total_bytes(self) -> int:
        """How much all of it is."""
        return self.pieces * self.piece_bytes

    def piece(self, number: int) -> Iterator[bytes]:
        """Give the content of a piece, numbered from 0."""
        yield from blocks_of(self.block, self.piece_bytes - _MARK_BYTES)
        yield b"%0*d" % (_MARK_BYTES, number)

    def body(self, number: int) -> bytes | Iterator[bytes]:
        """Give a piece as a request's body: a short one at once, as every client would send it."""
        content = self.piece(number)
        return b"".join(content) if self.piece_bytes <= BLOCK_BYTES else content

    def hashes(self) -> list[str]:
        """Return the SHA-256 of what must be on the disk afterwards, in ascending order."""
        if self.is_one_file:
            return [sha256(chain.from_iterable(map(self.piece, range(self.pieces))))]
        return sorted(sha256(self.piece(number)) for number in range(self.pieces))


Send = Callable[[Served, Load, int], float]
"""Sends a load over so many connections. Returns the seconds that were spent waiting for what follows the last byte."""


def sha256(blocks: Iterable[bytes]) -> str:
    """Hash blocks as one."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def photograph(size_bytes: int) -> bytes:
    """Return a JPEG picture (if it fits) that goes on as noise, so that there is something to make a thumbnail of."""
    made = io.BytesIO()
    noise = random.Random(1).randbytes(80 * 60 * 3)
    Image.frombytes("RGB", (80, 60), noise).resize((800, 600)).save(made, "JPEG", quality=80)
    picture = made.getvalue() if made.tell() < size_bytes else b""
    return picture + os.urandom(size_bytes - len(picture))


def put(served: Served, load: Load, at_once: int) -> float:
    """Each piece by one PUT, which is all that nginx knows; parts of a file stay apart."""

    def act(wire: Wire, number: int) -> None:
        wire.send("PUT", f"/folder/{number:06d}.jpg", load.body(number), size_bytes=load.piece_bytes)

    side_by_side(served.url, served.headers, range(load.pieces), at_once, act)
    return 0.0


def tus_patch(served: Served, load: Load, at_once: int) -> float:
    """A creation without content, then one PATCH with the whole file."""

    def act(wire: Wire, number: int) -> None:
        made = wire.send("POST", "/files", headers=_creation(load, number))
        path = "/files/" + str(made.headers["Location"]).rpartition("/")[2]
        headers = TUS | OFFSET_STREAM | {"Upload-Offset": "0"}
        wire.send("PATCH", path, load.body(number), size_bytes=load.piece_bytes, headers=headers)

    side_by_side(served.url, served.headers, range(load.pieces), at_once, act)
    return 0.0


def tus_create(served: Served, load: Load, at_once: int) -> float:
    """Each file by one creation with its content."""

    def act(wire: Wire, number: int) -> None:
        headers = _creation(load, number) | OFFSET_STREAM
        wire.send("POST", "/files", load.body(number), size_bytes=load.piece_bytes, headers=headers)

    side_by_side(served.url, served.headers, range(load.pieces), at_once, act)
    return 0.0


def _creation(load: Load, number: int) -> dict[str, str]:
    name = base64.b64encode(b"%06d.jpg" % number).decode()
    return TUS | {"Upload-Length": str(load.piece_bytes), "Upload-Metadata": f"filename {name}"}


def vuemantics_bulk(served: Served, load: Load, _at_once: int) -> float:
    """All files in one multipart POST; then wait until the last one has been processed."""
    heads = [_part_head(number) for number in range(load.pieces)]
    end = f"\r\n--{BOUNDARY}--\r\n".encode()

    def body() -> Iterator[bytes]:
        for number, head in enumerate(heads):
            yield head
            yield from load.piece(number)
        yield end

    with closing(Wire(served.url, served.headers)) as wire:
        answer = wire.send(
            "POST",
            "/vuemantics/v1/uploads/bulk",
            body(),
            size_bytes=sum(map(len, heads)) + load.total_bytes + len(end),
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        )
        told = json.loads(answer.content)
        if told["queued"] != load.pieces:
            raise SystemExit(f"not every file was taken: {told['failed_files'][:3]}")
        return _until_processed(wire, told["batch_id"])


def _part_head(number: int) -> bytes:
    disposition = f'Content-Disposition: form-data; name="files"; filename="{number:06d}.jpg"'
    return f"\r\n--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()


def _until_processed(wire: Wire, batch_id: str) -> float:
    began = time.perf_counter()
    while time.perf_counter() - began < LONGEST_PROCESSING_S:
        batch = json.loads(wire.send("GET", f"/vuemantics/v1/uploads/batches/{batch_id}").content)
        if batch["is_complete"]:
            return time.perf_counter() - began
        time.sleep(LOOK_EVERY_S)
    raise SystemExit("the batch was not processed in time")


def doorito_parts(served: Served, load: Load, at_once: int) -> float:
    """A session and its parts by PUT; then finalize, which answers when the parts are one file."""
    told = {
        "original_filename": "parts.bin",
        "content_type": "application/octet-stream",
        "total_size_bytes": load.total_bytes,
        "chunk_size_bytes": load.piece_bytes,
    }
    with closing(Wire(served.url, served.headers)) as wire:
        made = wire.send("POST", "/doorito/uploads/sessions", json.dumps(told).encode(), headers=JSON)
        session = f"/doorito/uploads/sessions/{json.loads(made.content)['session_id']}"

        def act(each: Wire, number: int) -> None:
            path = f"{session}/parts/{number + 1}"
            each.send("PUT", path, load.body(number), size_bytes=load.piece_bytes)

        side_by_side(served.url, served.headers, range(load.pieces), at_once, act)
        began = time.perf_counter()
        wire.send("POST", f"{session}/finalize")
        return time.perf_counter() - began
