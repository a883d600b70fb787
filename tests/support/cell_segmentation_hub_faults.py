"""What a pretended Cell Segmentation Hub holds, and the faults that it plays by name (tests.support.cell_segmentation_hub_server)."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket

from tests.support.cell_segmentation_hub_answers import Image
from tests.support.clock import until

TYPES = frozenset(f"image/{name}" for name in "png jpeg jpg webp bmp x-ms-bmp x-bmp tiff tif gif".split())


class HubFaults:
    """The state of a server. ``requests`` is what was asked ("GET /projects")."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.requests: list[str] = []
        self.user, self.password = "anna@example.org", "Secret-123"
        self.project, self.theirs = str(uuid4()), str(uuid4())
        self.projects = {self.project: "Buňky"}
        self.images: list[Image] = []
        self.received: list[int] = []
        """How many bytes of each upload were taken into memory."""
        self.said: list[str] = []
        """What clients said on their sockets once they were let in."""
        self.refreshes = self.refused_refreshes = self.sign_ins = self.refused_sign_ins = 0
        self.sockets_opened = self.handshakes = 0
        self._clock_is_off_s = 0.0
        self._now: Callable[[], float] = lambda: now() + self._clock_is_off_s
        self._token_life_s = 900.0
        self._good: set[str] = set()
        self._refresh_tokens: set[str] = set()
        self._most_files, self._types = 100, set(TYPES)
        self._faults: set[str] = set()
        self._unstorable: set[str] = set()
        self._disowned: set[str] = set()
        self._may_store = asyncio.Event()
        self._may_store.set()
        self._picture_s = 0.0
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._storing: set[asyncio.Task[Any]] = set()
        self._sockets: set[WebSocket] = set()

    def asked(self, method: str, ending: str) -> int:
        """Return how many requests had that method and a path that ends so."""
        return sum(each.startswith(f"{method} ") and each.endswith(ending) for each in self.requests)

    # Faults by name

    def stores_after_abort(self) -> None:
        """What has arrived whole is stored once its sender has left, and nobody hears of it."""
        self._faults.add("stores_after_abort")

    def nginx_keeps_what_is_aborted(self) -> None:
        """nginx had the whole body and the backend nothing of it when the sender left: nothing is stored."""
        self._faults.add("nginx_keeps")

    def no_fault(self) -> None:
        """From now on it is well."""
        self._faults.clear()

    def answers_504_but_stores(self) -> None:
        """nginx gives the next upload up; the backend stores it a moment later."""
        self._faults.add("504")

    def answers_500_after_storing(self) -> None:
        """The next upload is stored, and answered by the 500 whose error is ``ImageController``."""
        self._faults.add("500")

    def hangs_up_after_storing(self) -> None:
        """The next upload is stored, and its answer lost."""
        self._faults.add("hangs_up")

    def lists_success_as_failed(self) -> None:
        """``failedFiles`` names files that were stored (the original: those with letters beyond ASCII)."""
        self._faults.add("lists_success_as_failed")

    def says_no_failed_count(self) -> None:
        """As before a6dd8287: only ``images`` and ``count``."""
        self._faults.add("no_failed_count")

    def breaks_all_names(self) -> None:
        """A parser that does not know ``filename*``."""
        self._faults.add("breaks_all_names")

    def cannot_store(self, *names: str) -> None:
        """These fail while they are stored: the others are there, and the answer is 200."""
        self._unstorable.update(names)

    def calls_failed_what_it_has_stored(self, *names: str) -> None:
        """These fail in their last step, when their rows are there: in production without API_BASE_URL, every file does."""
        self._disowned.update(names)

    def refuses_whole_request_for_one_file(self, media_type: str) -> None:
        """It no longer takes this type: 400 for the request that holds one, nothing is stored."""
        self._types.discard(media_type)

    def takes_so_many(self, files: int) -> None:
        """Its limit of files a request: 100 in production, 20 in its tests."""
        self._most_files = files

    def holds_storing(self, is_held: bool = True) -> None:
        """What arrives waits before it is stored."""
        self._may_store.clear() if is_held else self._may_store.set()

    def takes_s_a_picture(self, seconds: float) -> None:
        """Each picture takes so long to be stored."""
        self._picture_s = seconds

    def holds_reading(self, is_held: bool = True) -> None:
        """Bodies that come wait before they are read: what is larger than the buffers on the way gets stuck."""
        self._may_read.clear() if is_held else self._may_read.set()

    async def begun(self, uploads: int = 1) -> None:
        """Wait until so many uploads have been asked for."""
        await until(lambda: self.asked("POST", "/images") + self.asked("POST", "/videos") >= uploads)

    def before_cookies(self) -> None:
        """As before a9e7511a: tokens in the body of the sign-in, and in the Authorization header."""
        self._faults.add("bearer")

    def forgets_the_session(self) -> None:
        """All tokens, those for refreshing too, are worth nothing any more."""
        self._good.clear()
        self._refresh_tokens.clear()

    def token_expires(self) -> None:
        """The access tokens given so far have expired."""
        self._good.clear()

    def refuses_the_token_in_mid_body(self) -> None:
        """The next upload is refused with 401 while its body is on the way, and the connection closed."""
        self._faults.add("401")

    def tokens_live(self, seconds: float) -> None:
        """How long the next access tokens live."""
        self._token_life_s = seconds

    def no_socket(self) -> None:
        """WS_ALLOWED_ORIGINS is not set: every handshake is refused with 400."""
        self._faults.add("no_socket")

    def clock_is_off(self, seconds: float) -> None:
        """Its clock is before or behind ours."""
        self._clock_is_off_s = seconds

    def deletes_the_project(self) -> None:
        """Somebody deletes it, with all its images."""
        self.projects.pop(self.project)
        self.images = [image for image in self.images if image.project != self.project]

    def has_image(self, name: str, content: bytes, age_s: float = 0.0) -> Image:
        """There is an image that somebody sent *age_s* seconds ago."""
        image = Image(self.project, name, content, "image/png", self._now() - age_s)
        self.images.append(image)
        return image

    async def closes_sockets(self) -> None:
        """Close the open sockets."""
        for socket in list(self._sockets):
            await socket.close(1012)

    async def says_to_the_sockets(self, packet: str) -> None:
        """Send a raw packet of Engine.IO."""
        for socket in list(self._sockets):
            await socket.send_text(packet)

    async def connected(self, sockets: int = 1) -> None:
        """Wait until so many sockets have been opened since the start, and one is open."""
        await until(lambda: self.sockets_opened >= sockets and bool(self._sockets))

    async def arrived(self, uploads: int = 1) -> None:
        """Wait until so many whole bodies have arrived."""
        await until(lambda: len(self.received) >= uploads)

    async def has(self, images: int) -> None:
        """Wait until so many images are stored."""
        await until(lambda: len(self.images) >= images and not self._storing)
