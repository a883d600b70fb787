"""A parcel that goes as one form: its request, what became of its files by their keys, and the parcel of one file.

What a server's answer says of each file, and what a lost answer means, is each adapter's own: no two servers agree.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from app.domain.failure import Failure, TransferError
from app.remote.answer import Answer
from app.remote.base import Feed, Outgoing, ParcelItem, Sent
from app.remote.beating import beating
from app.remote.http import Http
from app.remote.multipart import Multipart

Result = Sent | Failure
Results = dict[str, Result]
"""What became of files, by their outgoing keys; a file that is not in it is still to be sent."""


def left(items: Iterable[ParcelItem], results: Mapping[str, Result]) -> list[ParcelItem]:
    """Return those that are still to be sent, in order."""
    return [item for item in items if item.outgoing.key not in results]


def by_key(items: Sequence[ParcelItem], told: Sequence[Result]) -> Results:
    """Return what was told of each, one result a file, in the same order."""
    return {item.outgoing.key: result for item, result in zip(items, told, strict=True)}


def all_alike(items: Sequence[ParcelItem], result: Result) -> Results:
    """Return one result for all of them."""
    return by_key(items, [result] * len(items))


def in_order(items: Iterable[ParcelItem], results: Mapping[str, Result]) -> list[Result]:
    """Return what became of every file, as ParcelServer.send_parcel does."""
    return [results[item.outgoing.key] for item in items]


async def send_alone(
    send_parcel: Callable[[Sequence[ParcelItem]], Awaitable[Sequence[Result]]], outgoing: Outgoing, feed: Feed
) -> Sent:
    """Send one file as a parcel of its own (RemoteServer.send). Raises its failure as TransferError."""
    (result,) = await send_parcel([ParcelItem(outgoing, feed)])
    if isinstance(result, Failure):
        raise TransferError(result)
    return result


async def post_form(
    http: Http,
    path: str,
    form: Multipart,
    alive: Iterable[tuple[Feed, int]],
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send *form* in a POST, and return the answer (Http.stream_body, which says what it raises).

    The feeds that are told to be *alive*, each with its file's size, are so while the server works after the last byte.
    """
    async with beating(alive, once=lambda: form.is_out):
        return await http.stream_body(
            "POST",
            path,
            headers={"Content-Type": form.content_type, **(headers or {})},
            size_bytes=form.size_bytes,
            blocks=form,
        )
