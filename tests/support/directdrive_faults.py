"""The quirks of the real DirectDrive, by name: what tests/support/directdrive_server.py does when one is switched on."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.fake_server import FAULTS, Fault


class Faults:
    """What is switched on, and what is held back until a test lets it go."""

    def __init__(self) -> None:
        self.announce = asyncio.Event()
        self.accept = asyncio.Event()
        self.read = asyncio.Event()
        self.finalise = asyncio.Event()
        self.let_go()
        self.finalising = asyncio.Event()
        self.at_byte: dict[int, asyncio.Event] = {}
        self.tokens: set[str] = set()
        self.limits: dict[str, Any] = {"message": "Upload limits are disabled"}
        self.planned: list[tuple[str, str, Fault]] = []
        self._faults: set[str] = set()
        self._closures: list[tuple[int, str]] = []
        self._initiate_answers: list[Response] = []
        self._cut_at: int | None = None
        self._only_frames_bytes: int | None = None
        self._at_work: set[str] = set()

    async def _progress(self, request: Request) -> Response:
        """What is told of a file: whether a socket has it in its hands. Errors come with 200."""
        active = request.path_params["file_id"] in self._at_work
        body = {"total_chunks": 1} if active else {"error": "File not found or no active upload"}
        return JSONResponse(body)

    def let_go(self) -> None:
        """Hold nothing back any more."""
        for held in (self.announce, self.accept, self.read, self.finalise):
            held.set()

    def work_again(self) -> None:
        """Forget all faults that are not of one request."""
        self._faults.clear()

    def ignores_cancel(self) -> None:
        """Its default socket never looks at a cancel: what has arrived is finished, and `completed` overwrites."""
        self.finalise.clear()
        self._faults.add("ignores_cancel")

    def keeps_processing(self) -> None:
        """All bytes are there, and the storage behind it takes its time."""
        self.finalise.clear()

    def is_slow_to_announce(self) -> None:
        """Initiate is not answered before `announce` is set."""
        self.announce.clear()

    def lets_the_handshake_wait(self) -> None:
        """The older one accepts a socket when one of its 20 places is free: when `accept` is set."""
        self.accept.clear()

    def stops_reading(self) -> None:
        """The storage behind it takes its time: no frame is read before `read` is set."""
        self.read.clear()

    def closes_1000_without_success(self, *, stored: bool) -> None:
        """It ends the socket politely and says nothing about the file."""
        self._faults.add("closes_1000_stored" if stored else "closes_1000_failed")

    def never_says_success(self) -> None:
        """The file is completed, and the socket stays open without a word."""
        self._faults.add("never_says_success")

    def progress_on_receipt_then_fails(self) -> None:
        """It says 100 when it has received everything, and then the storage refuses."""
        self._faults.add("fails_after_100")

    def slots_taken(
        self,
        times: int = 1,
        code: int = 1008,
        reason: str = "Upload limit exceeded or insufficient resources",
    ) -> None:
        """It accepts the socket and closes it: no place, or not enough memory. The file stays pending."""
        self._closures += [(code, reason)] * times

    def becomes_anonymous(self) -> None:
        """Tokens are not what they were: whoever shows one is nobody at initiate, and is not told."""
        self._faults.add("becomes_anonymous")

    def forgets_tokens(self) -> None:
        """The secret was changed: the tokens that are out are nobody's, and only `/users/me` says so."""
        self.tokens.clear()

    def cancels_partly(self) -> None:
        """A batch is cancelled file by file, and it stops halfway."""
        self._faults.add("cancels_partly")

    def cancel_answers_500(self) -> None:
        """`Failed to update file status`."""
        self._faults.add("cancel_answers_500")

    def answers_200_with_error(self) -> None:
        """Initiate is 200, with an error in its body."""
        self._initiate_answers.append(JSONResponse({"error": "Failed to get storage: no such account"}))

    def error_shape_of_middleware(self) -> None:
        """An exception at initiate: not `detail`, but `error`."""
        body = {"error": "Internal server error", "request_id": "req_74_2"}
        self._initiate_answers.append(JSONResponse(body, 500))

    def storage_busy(self) -> None:
        """All storage accounts are busy."""
        words = "All storage accounts are currently busy or unavailable. Please try again in a minute."
        self._initiate_answers.append(JSONResponse({"detail": words}, 503))

    def refuses_initiate(self, status: int, detail: object) -> None:
        """Initiate is refused with these words."""
        self._initiate_answers.append(JSONResponse({"detail": detail}, status))

    def tells_no_progress(self) -> None:
        """Not a word before the end."""
        self._faults.add("no_progress")

    def speaks_in_strings(self) -> None:
        """`PROGRESS:50` instead of JSON, and words that nobody knows."""
        self._faults.add("strings")

    def takes_frames_of(self, size_bytes: int) -> None:
        """The streaming processor: every frame but the last must be exactly of STREAMING_CHUNK_SIZE_MB, 4 by default."""
        self._only_frames_bytes = size_bytes

    def cuts_at(self, size_bytes: int) -> None:
        """The network drops the next socket after so many bytes."""
        self._cut_at = size_bytes

    def has_no_openapi(self) -> None:
        """The description of its API is switched off."""
        self._faults.add("no_openapi")

    def has_no_parallel_socket(self) -> None:
        """Only `/ws_api/upload` is there; the other's handshake is 403."""
        self._faults.add("no_parallel")

    def has_no_cancel(self) -> None:
        """As it was before the cancel endpoints were made."""
        self._faults.add("no_cancel")

    def limits_anonymous(self) -> None:
        """As in production: 2 GiB a day for whoever is nobody."""
        self.limits = {
            "daily_limit_bytes": 2 * 2**30, "daily_limit_gb": 2, "current_usage_bytes": 0, "remaining_bytes": 2 * 2**30,
            "user_type": "anonymous",
        }  # fmt: skip

    def arrives(self, size_bytes: int) -> asyncio.Event:
        """Return an event that is set when some file has so many bytes here."""
        return self.at_byte.setdefault(size_bytes, asyncio.Event())

    def fail_next(self, method: str, path_prefix: str, *faults: str) -> None:
        """Play generic faults (fake_server.FAULTS) for the next requests of *method* below *path_prefix*, one each."""
        self.planned += [(method, path_prefix, FAULTS[name]) for name in faults]
