"""The dialect of the Cell Segmentation Hub: many images in one request, into a project that the person chose.

parcel ──► POST images (multipart) ──► 200: which images were stored, in order        video ──► POST videos, alone
   │ cut before the last byte: nothing is stored
   └ cut after it, or the answer lost: list the project, match by name, size and time, before anything is sent again

Where the server tracks uploads by id (ours does; the original never did) a request has a remote id from its start, and is
cancelled over HTTP. Source of the contract: the Hub's code at bf99ac26, docs/server/cell_segmentation_hub.md.
"""

from collections.abc import Mapping, Sequence

from app.domain.failure import Failure, TransferError
from app.remote import hubfields
from app.remote.account import Account
from app.remote.answer import Answer
from app.remote.base import (
    Abilities,
    CancelAnswer,
    Feed,
    Outgoing,
    ParcelItem,
    ParcelLimits,
    RemoteFile,
    RemoteState,
    Sent,
    Target,
)
from app.remote.hubasking import PAGE, Asking
from app.remote.hubfields import Kind, RemoteId, remote_id_of
from app.remote.hubline import REAL, HubLine, Pace
from app.remote.hubsending import Sending
from app.remote.parcel import Result, send_alone

PARCEL = ParcelLimits(max_files=100, max_bytes=100 * hubfields.MIB)
_MOST_PAGES = 100
_LONGEST_TITLE = 255
_NO_CANCEL = "this server has no cancel for uploads"


class HubServer:
    """One connection to a Hub, for one worker. Remote ids: hubfields.RemoteId."""

    def __init__(self, line: HubLine) -> None:
        self._line = line
        self._asking = Asking(line)
        self._sending = Sending(line, self._asking)

    # What it is

    @property
    def abilities(self) -> Abilities:
        """What this server can do; whether it can cancel is known once it was asked."""
        cancels = bool(self._line.has_cancel)
        return Abilities(
            cancel_file=cancels,
            cancel_batch=cancels,
            delete_file=True,
            max_size_bytes=hubfields.LARGEST_IMAGE_BYTES,
            max_files=PARCEL.max_files,
        )

    async def greet(self) -> Abilities:
        """Sign in, and see whether uploads can be cancelled here (RemoteServer.greet)."""
        await self._asking.data("GET", "projects?page=1&limit=1")
        await self._asking.has_cancel()
        return self.abilities

    async def targets(self) -> Sequence[Target]:
        """Return the account's projects (TargetServer.targets)."""
        found: dict[str, Target] = {}
        for page in range(1, _MOST_PAGES + 1):
            data = await self._asking.data("GET", f"projects?page={page}&limit={PAGE}")
            records = hubfields.records_of(data, "projects")
            found |= {target.id: target for target in map(_target, records)}
            if len(records) < PAGE:
                break
        return list(found.values())

    async def create_target(self, name: str) -> Target:
        """Make a project (TargetServer.create_target)."""
        payload = {"title": name.strip()[:_LONGEST_TITLE]}
        return _target(
            hubfields.record_of(await self._asking.data("POST", "projects", payload=payload), "project")
        )

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Say what the server would refuse, for it refuses the whole request (PreflightServer.refusal)."""
        return hubfields.refusal(outgoing)

    # Sending

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send one file (RemoteServer.send)."""
        return await send_alone(self.send_parcel, outgoing, feed)

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Result]:
        """Send what the server does not have already (ParcelServer.send_parcel)."""
        return await self._sending.send(items)

    # Reading back

    async def look(self, remote_id: str) -> RemoteFile:
        """Read an image, or the request that brings it, back (RemoteServer.look)."""
        wanted = remote_id_of(remote_id)
        if wanted is None:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        await self._line.settled()
        return await self._asking.file(wanted)

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Find files by name, size and time in their projects (FindServer.find).

        A request that was given up after its last byte may still be stored: this waits a few seconds for it.
        """
        return await self._asking.find(outgoings)

    # Cancelling

    def batches_of(self, remote_ids: Sequence[str]) -> Sequence[str]:
        """Return the requests that are under way: each is a batch of its own there (ManyBatchServer)."""
        told = [told for each in remote_ids if (told := remote_id_of(each)) is not None]
        return sorted({str(each.request) for each in told if each.kind is Kind.UPLOAD})

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel one request and all that it brings (CancelServer.cancel_batch)."""
        return await self.cancel_file(remote_batch_id)

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Cancel the request that brings a file (CancelServer.cancel_file); a stored image cannot be cancelled."""
        wanted = remote_id_of(remote_id)
        if wanted is None or wanted.kind is not Kind.UPLOAD:
            return CancelAnswer(404, _NO_CANCEL)
        await self._line.settled()
        path = f"projects/{wanted.project}/uploads/{wanted.id}/cancel"
        answer = await self._asking.answer("POST", path)
        if answer.ok or answer.status in (400, 404, 409):
            word = _NO_CANCEL if hubfields.no_such_route(answer) else _word(answer)
            return CancelAnswer(answer.status, word)
        raise TransferError(self._asking.failure(answer))

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        """Delete stored images, a hundred a request (DeleteServer.delete_files)."""
        wanted = [told for each in remote_ids if (told := remote_id_of(each)) is not None]
        known = [each for each in wanted if each.kind in (Kind.IMAGE, Kind.VIDEO)]
        brought = [
            await self._asking.brought(each) for each in wanted if each.kind in (Kind.UPLOAD, Kind.CUT)
        ]
        stored = known + [each for each in brought if each is not None]
        for project in sorted({each.project for each in stored}):
            ids = list(dict.fromkeys(each.id for each in stored if each.project == project))
            for at in range(0, len(ids), PAGE):
                await self._delete(project, ids[at : at + PAGE])
        for each in stored:
            self._line.claims.drop(each)

    async def _delete(self, project: str, ids: Sequence[str]) -> None:
        payload = {"imageIds": ids, "projectId": project}
        answer = await self._asking.answer("DELETE", "images/batch", payload=payload)
        if answer.ok or hubfields.is_no_project(answer):
            return
        # The original answers 500 where nothing was left to delete.
        left = [await self._asking.file(RemoteId(project, Kind.IMAGE, each)) for each in ids]
        if any(seen.state is RemoteState.STORED for seen in left):
            raise TransferError(self._asking.failure(answer))

    async def aclose(self) -> None:
        """Close the connections (RemoteServer.aclose)."""
        await self._asking.aclose()
        await self._sending.aclose()


class HubConnections:
    """The line as the registry wants it (account.Line)."""

    def __init__(self, line: HubLine) -> None:
        self.line = line

    def connect(self) -> HubServer:
        """Return a connection for one worker (Line.connect)."""
        return HubServer(self.line)

    async def aclose(self) -> None:
        """Close what the connections share (Line.aclose)."""
        await self.line.aclose()


def open_hub(account: Account, pace: Pace = REAL) -> HubConnections:
    """Return what all connections of *account* share."""
    return HubConnections(HubLine(account, pace))


def _target(record: Mapping[str, object]) -> Target:
    return Target(str(record.get("id") or ""), str(record.get("title") or record.get("id") or ""))


def _word(answer: Answer) -> str:
    """Return the server's own word for what its cancel did."""
    data = answer.json().get("data")
    return str(data.get("status")) if isinstance(data, dict) and data.get("status") else answer.detail
