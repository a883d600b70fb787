"""DirectDrive's HTTP API as methods: announce, read, cancel. No state; what follows from an answer is others' to say.

Source of the contract: docs/server/directdrive.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.answer import Answer
from app.remote.auth import Tokens, jwt_expiry
from app.remote.base import CancelAnswer, Outgoing
from app.remote.directdrive_rules import (
    content_type_of,
    detail_of,
    failure_in_success,
    failure_of_initiate,
    stored_name,
)
from app.remote.http import Http

_NOT_SIGNED_IN = frozenset({400, 401, 403, 422})

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A file that the server waits for. The address lets whoever has it send the file: it stays in memory."""

    remote_batch_id: str
    file_id: str
    upload_url: str = field(repr=False)
    size_bytes: int
    stored_name: str | None
    announced_at: float


class Api:
    """The API over one HTTP client, which stays its owner's. Every method may raise TransferError."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.base = http.base_path
        self._v1 = f"{http.base_path}/api/v1"

    # Who and what

    async def sign_in(self, user: str, password: str) -> Tokens:
        """Ask for a token by name and password; SIGN_IN if they are wrong. The client must have no Auth."""
        form = {"username": user, "password": password}
        answer = await self._http.ask("POST", f"{self._v1}/auth/token", form=form)
        if answer.status in _NOT_SIGNED_IN and not answer.is_html:
            raise TransferError(Failure(FailureKind.SIGN_IN, detail_of(answer), answer.status))
        body = self._body(answer)
        token = body.get("access_token")
        if not isinstance(token, str) or not token:
            raise TransferError(failure_in_success(body))
        return Tokens(token, expires_at=jwt_expiry(token))

    async def me(self) -> None:
        """Be told that the server knows who we are; SIGN_IN if it does not: its other routes would not say."""
        answer = await self._http.ask("GET", f"{self._v1}/auth/users/me")
        if answer.status != 404 or answer.is_html:  # no such route: nothing is said either way
            self._body(answer)

    async def paths(self) -> frozenset[str]:
        """Return the paths that its OpenAPI names; none if it keeps that to itself."""
        answer = await self._http.ask("GET", f"{self.base}/openapi.json")
        self._unless_away(answer)
        paths = answer.json().get("paths") if answer.ok and not answer.is_html else None
        return frozenset(paths) if isinstance(paths, dict) else frozenset()

    async def takes_announcements(self) -> bool:
        """Ask with an announcement of nothing, which makes nothing there, whether this is DirectDrive at all."""
        answer = await self._http.ask("POST", f"{self._v1}/upload/initiate", payload={})
        self._unless_away(answer)
        return answer.status == 422 and not answer.is_html

    async def daily_limit_bytes(self) -> tuple[bool, int | None]:
        """Return whether the server tells its limits, and the one that is ours (None: there is none)."""
        answer = await self._http.ask("GET", f"{self._v1}/upload/quota-info")
        if not answer.ok or answer.is_html:
            return False, None
        body = answer.json()
        limit = body.get("daily_limit_bytes")
        return "error" not in body, limit if isinstance(limit, int) and limit > 0 else None

    # Announcing

    async def announce(self, outgoing: Outgoing, now: float, *, cleans_names: bool) -> Reservation:
        """Announce one file. ``cleans_names``: the server is of the newer kind, whose name for it can be foretold."""
        answer = await self._http.ask(
            "POST", f"{self._v1}/upload/initiate", payload=_announcement_of(outgoing)
        )
        name = stored_name(outgoing.relative_path) if cleans_names else None
        return _reservation(self._announced(answer, now), "", outgoing, now, name)

    async def announce_together(self, outgoings: Sequence[Outgoing], now: float) -> list[Reservation]:
        """Announce files as one batch; return their reservations in order.

        The answer is matched by index: its names are cleaned ones, and two files may have the same.
        """
        payload = {"files": [_announcement_of(one) for one in outgoings]}
        body = self._announced(
            await self._http.ask("POST", f"{self._v1}/batch/initiate", payload=payload), now
        )
        records, batch_id = body.get("files"), body.get("batch_id")
        if not isinstance(records, list) or not isinstance(batch_id, str) or not batch_id:
            raise TransferError(failure_in_success(body))
        if len(records) != len(outgoings):
            raise TransferError(
                Failure(
                    FailureKind.SERVER_ERROR,
                    f"the server expects {len(records)} files instead of {len(outgoings)}",
                    200,
                )
            )
        return [
            _reservation(record, batch_id, outgoing, now, stored_name(outgoing.relative_path))
            for record, outgoing in zip(records, outgoings, strict=True)
        ]

    # Reading

    async def file(self, file_id: str) -> Record | None:
        """Return a file's record, None if the server knows no such file."""
        answer = await self._http.ask("GET", f"{self._v1}/files/{quote(file_id, safe='')}")
        return None if answer.status == 404 and not answer.is_html else self._body(answer)

    async def files_of(self, remote_batch_id: str) -> list[Record]:
        """Return the records of a batch's files; none if the server knows no such batch."""
        answer = await self._http.ask("GET", f"{self._v1}/batch/{quote(remote_batch_id, safe='')}")
        if answer.status == 404 and not answer.is_html:
            return []
        if not answer.ok:
            raise self._http.failure(answer)
        return [record for record in answer.array() if isinstance(record, dict)]

    async def is_working_on(self, file_id: str) -> bool:
        """Whether a socket of the server has a file in its hands; False where it does not tell."""
        answer = await self._http.ask("GET", f"{self._v1}/system/upload-progress/{quote(file_id, safe='')}")
        return answer.ok and not answer.is_html and "error" not in answer.json()

    # Cancelling

    async def cancel_file(self, file_id: str) -> CancelAnswer:
        """Cancel one file; 400 and 404 are answers, too."""
        return await self._cancel(f"upload/cancel/{quote(file_id, safe='')}")

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel a batch; 400 and 404 are answers, too."""
        return await self._cancel(f"batch/cancel/{quote(remote_batch_id, safe='')}")

    async def _cancel(self, path: str) -> CancelAnswer:
        answer = await self._http.ask("POST", f"{self._v1}/{path}")
        if answer.is_html or not (answer.ok or answer.status in (400, 404)):
            raise self._http.failure(answer)
        return CancelAnswer(answer.status, detail_of(answer))

    def _unless_away(self, answer: Answer) -> None:
        """Nothing follows from what a server says that is busy or broken."""
        if answer.status >= 500 or answer.status in (407, 408, 420, 429):
            raise self._http.failure(answer)

    def _body(self, answer: Answer) -> dict[str, Any]:
        if not answer.ok:
            raise self._http.failure(answer)
        return answer.json()

    @staticmethod
    def _announced(answer: Answer, now: float) -> dict[str, Any]:
        if not answer.ok:
            raise TransferError(failure_of_initiate(answer, now))
        return answer.json()


def _announcement_of(outgoing: Outgoing) -> dict[str, object]:
    return {
        "filename": outgoing.relative_path,
        "size": outgoing.size_bytes,
        "content_type": content_type_of(outgoing.relative_path),
    }


def _reservation(
    record: object, remote_batch_id: str, outgoing: Outgoing, now: float, foretold: str | None
) -> Reservation:
    fields = record if isinstance(record, dict) else {}
    file_id, upload_url = fields.get("file_id"), fields.get("gdrive_upload_url")
    if not isinstance(file_id, str) or not isinstance(upload_url, str) or not file_id or "/" in file_id:
        raise TransferError(failure_in_success(fields))
    # In a batch's answer this is the cleaned name, whatever the field is called; a single file's has only ours.
    told = fields.get("original_filename") if remote_batch_id else None
    name = told if isinstance(told, str) else foretold
    return Reservation(remote_batch_id, file_id, upload_url, outgoing.size_bytes, name, now)
