"""The body of a form, as another program's parser understands it."""

import email
import email.policy

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.multipart import FilePart, Multipart, Part, TextPart


class ListFeed:
    """A Feed (app.remote.base) over blocks in memory, which remembers the progress it was told."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = list(blocks)
        self.told: list[tuple[int, int]] = []
        self.asked = 0

    async def seek(self, offset_bytes: int) -> None:
        assert offset_bytes == 0

    async def block(self) -> bytes:
        self.asked += 1
        return self._blocks.pop(0) if self._blocks else b""

    def sha256(self) -> str:
        return ""

    async def created(self, remote_id: str) -> None: ...

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        self.told.append((sent_bytes, accepted_bytes))


def file(name: str, *blocks: bytes, extended: bool = False) -> FilePart:
    size_bytes = sum(map(len, blocks))
    return FilePart("files", name, "image/png", size_bytes, ListFeed(*blocks), extended)


async def sent(body: Multipart) -> bytes:
    return b"".join([piece async for piece in body])


def parsed(body: Multipart, content: bytes) -> list[tuple[str, str | None, str, bytes]]:
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


async def test_a_parser_finds_every_part_as_it_was_and_the_length_is_exact() -> None:
    parts: list[Part] = [
        TextPart("project", "Zürich"),
        file("a.png", b"\x89PNG\r\n", b"--uphaul\r\n"),
        file("empty.png"),
        file("b.png", b"x" * 300_000),
    ]
    body = Multipart(parts)
    content = await sent(body)
    assert len(content) == body.size_bytes
    assert parsed(body, content) == [
        ("project", None, "text/plain", "Zürich".encode()),
        ("files", "a.png", "image/png", b"\x89PNG\r\n--uphaul\r\n"),
        ("files", "empty.png", "image/png", b""),
        ("files", "b.png", "image/png", b"x" * 300_000),
    ]


async def test_a_form_without_parts_is_whole_too() -> None:
    body = Multipart([], "b")
    assert (await sent(body), body.size_bytes) == (b"--b--\r\n", 7)


@pytest.mark.parametrize(
    "name, plain, extended",
    [
        ("αβγ.png", 'filename="αβγ.png"', "filename=\"___.png\"; filename*=UTF-8''%CE%B1%CE%B2%CE%B3.png"),
        ('a"b\r\nc.png', 'filename="a%22b%0D%0Ac.png"', "filename=\"a_b__c.png\"; filename*=UTF-8''a%22b%0D%0Ac.png"),
        ("50 %.png", 'filename="50 %.png"', "filename=\"50 _.png\"; filename*=UTF-8''50%20%25.png"),
    ],
)  # fmt: skip
async def test_names_go_as_browsers_send_them_or_extended(name: str, plain: str, extended: str) -> None:
    both = [Multipart([file(name, b"x", extended=each)], "b") for each in (False, True)]
    wanted = [
        f'--b\r\nContent-Disposition: form-data; name="files"; {each}\r\n' for each in (plain, extended)
    ]
    heads = [
        (await sent(body))[: len(head.encode())].decode() for body, head in zip(both, wanted, strict=True)
    ]
    assert heads == wanted


async def test_each_feed_hears_its_own_progress_once_its_bytes_are_out() -> None:
    parts = [file("a", b"abc"), file("b", b"d", b"ef")]
    body = Multipart(parts)
    pieces = [await anext(body)]
    before = [list(part.feed.told) for part in parts], body.sent_files, body.is_out  # type: ignore[attr-defined]
    pieces += [piece async for piece in body]
    after = [list(part.feed.told) for part in parts], body.sent_files, body.is_out  # type: ignore[attr-defined]
    assert (before, after, len(pieces)) == (
        ([[], []], 0, False),
        ([[(3, 0)], [(1, 0), (3, 0)]], 2, True),
        4,
    )


async def test_an_empty_file_is_opened_to_prove_that_it_is_there() -> None:
    part = file("empty")
    await sent(Multipart([part]))
    assert part.feed.asked == 1  # type: ignore[attr-defined]


async def test_a_file_that_became_shorter_is_named_and_the_next_one_is_not_begun() -> None:
    short = FilePart("files", "b", "image/png", 10, ListFeed(b"abc"))
    last = file("c", b"x")
    body = Multipart([file("a", b"a"), short, last])
    with pytest.raises(TransferError) as caught:
        await sent(body)
    assert (caught.value.failure.kind, body.broken, body.sent_files, last.feed.asked) == (  # type: ignore[attr-defined]
        FailureKind.FILE_CHANGED,
        1,
        1,
        0,
    )
