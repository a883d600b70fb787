"""A Doorito as its code is today (cc138e9): Django's login, one HTML form for ten files, and no API; faults by name.

As in the original, without any fault asked for: 302 to the login instead of 401, 403 as a page without the form's token, 200 for
whatever went wrong with the files, names as Django makes them and escaped for HTML, files left out of whose name nothing is
left, and a page for every path that is not there. Seen at the real one, run under gunicorn.
"""

import asyncio
import hashlib
import secrets
from html import escape, unescape

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.doorito_server import PAGE
from tests.support.edge import Pretended

_ERROR_PAGE = "<html><head><title>Internal Server Error</title></head><h1>Internal Server Error</h1></html>"
_CSRF_PAGE = "<!doctype html><html><h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p></html>"


class FakeDooritoForm(Pretended):
    """``async with FakeDooritoForm() as fake``; talk to ``fake.url`` as ``fake.user`` with ``fake.password``."""

    def __init__(self) -> None:
        self.user, self.password = "anna@example.org", "Secret-123"
        self.posts: list[list[str]] = []
        """The names in each form that arrived whole and was taken, in order."""
        self.files: list[tuple[str, bytes]] = []
        self.cut_posts = 0
        self.body_arrives = asyncio.Event()
        """Set while the first bytes of a form are there."""
        self._most_files = 10
        self._most_bytes = 52_428_800
        self._sessions: set[str] = set()
        self._csrf_refusals = 0
        self._ended_workers = 0
        self._takes_nothing = False
        self._says: str | None = None
        self._may_read, self._may_answer = asyncio.Event(), asyncio.Event()
        self._may_read.set()
        self._may_answer.set()
        self.serve(Starlette(routes=self._routes(), exception_handlers={404: _not_found}))

    # What every fake has

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every stored file, by its name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files}

    # Faults by name

    def logs_out(self) -> None:
        """All sessions have ended."""
        self._sessions.clear()

    def refuses_csrf(self, times: int = 1) -> None:
        """The next forms are refused as forged, as after a change of the secret (or behind a proxy that hides https)."""
        self._csrf_refusals = times

    def answers_too_many(self, most_files: int) -> None:
        """It takes fewer files a form than it did."""
        self._most_files = most_files

    def takes_nothing(self) -> None:
        """Something on the way drops the files of every form."""
        self._takes_nothing = True

    def takes_at_most(self, size_bytes: int) -> None:
        """FILE_UPLOAD_MAX_SIZE is smaller than by default."""
        self._most_bytes = size_bytes

    def says_nothing_of_files(self, page: str = "<html><p>Thank you.</p></html>") -> None:
        """A form that was taken is answered with another page."""
        self._says = page

    def stops_reading(self) -> None:
        """Forms are read no further than what the sockets take, until :meth:`reads_again`."""
        self._may_read.clear()

    def reads_again(self) -> None:
        """Forms are read to their end."""
        self._may_read.set()

    def ends_its_worker(self, times: int = 1) -> None:
        """gunicorn's watch ends a worker whose request takes longer than 30 s: 500 in the middle of the form.

        The next forms are read until :meth:`reads_again`, and answered so.
        """
        self._ended_workers = times

    def answers_late(self) -> None:
        """Forms are taken, and never answered."""
        self._may_answer.clear()

    def deletes_after_a_day(self) -> None:
        """The clean-up ran, 24 hours after the files came."""
        self.files.clear()

    # HTTP

    def _routes(self) -> list[Route]:
        return [
            Route("/healthz/", self._health),
            Route("/app/login/", self._login_page, methods=["GET"]),
            Route("/app/login/", self._login, methods=["POST"]),
            Route("/app/upload/", self._page, methods=["GET"]),
            Route("/app/upload/", self._upload, methods=["POST"]),
        ]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _is_signed_in(self, request: Request) -> bool:
        return request.cookies.get("sessionid") in self._sessions

    async def _login_page(self, request: Request) -> Response:
        if self._is_signed_in(request):
            return RedirectResponse("/app/", 302)
        token = secrets.token_hex(16)
        answer = HTMLResponse(
            f'<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{token}"></form>'
        )
        answer.set_cookie("csrftoken", token, samesite="lax")
        return answer

    async def _login(self, request: Request) -> Response:
        async with request.form() as form:
            told = {name: str(value) for name, value in form.items()}
        if not told.get("csrfmiddlewaretoken") or told["csrfmiddlewaretoken"] != request.cookies.get(
            "csrftoken"
        ):
            return HTMLResponse(_CSRF_PAGE, 403)
        if (told.get("username"), told.get("password")) != (self.user, self.password):
            return HTMLResponse("<form>Invalid email or password.</form>")
        answer = RedirectResponse("/app/", 302)
        session = secrets.token_hex(16)
        self._sessions.add(session)
        answer.set_cookie("sessionid", session, httponly=True)
        answer.set_cookie("csrftoken", secrets.token_hex(16))  # a login changes it
        return answer

    async def _page(self, request: Request) -> Response:
        if not self._is_signed_in(request):
            return RedirectResponse("/app/login/?next=/app/upload/", 302)
        return HTMLResponse("<html>Up to 10 files, 50 MB each</html>")

    async def _upload(self, request: Request) -> Response:
        """The form is read whole before anything else is looked at; a body that breaks off stores nothing."""
        self.body_arrives.set()
        await self._may_read.wait()
        if self._ended_workers:
            self._ended_workers -= 1
            return HTMLResponse(_ERROR_PAGE, 500, {"Connection": "close"})
        try:
            async with request.form(max_files=1000) as form:
                parts = [part for part in form.getlist("files") if not isinstance(part, str)]
                named = [(name_at_django(part.filename or ""), part) for part in parts]
                sent = [(name, await part.read()) for name, part in named if name]
        except ClientDisconnect:
            self.cut_posts += 1
            return Response(status_code=400)
        if self._is_forged(request):
            return HTMLResponse(_CSRF_PAGE, 403)
        if not self._is_signed_in(request):
            return RedirectResponse("/app/login/?next=/app/upload/", 302)
        if request.headers.get("hx-request") != "true":
            return RedirectResponse("/app/upload/", 302)
        page = self._results(sent)
        await self._may_answer.wait()
        return HTMLResponse(page)

    def _is_forged(self, request: Request) -> bool:
        if self._csrf_refusals:
            self._csrf_refusals -= 1
            return True
        token = request.headers.get("x-csrftoken")
        return not token or token != request.cookies.get("csrftoken")

    def _results(self, sent: list[tuple[str, bytes]]) -> str:
        if self._takes_nothing or not sent:
            return _error("No files selected.")
        if len(sent) > self._most_files:
            return _error(f"Too many files. Maximum {self._most_files} files per upload.")
        self.posts.append([name for name, _ in sent])
        lines, failed = [], 0
        for name, content in sent:
            if len(content) > self._most_bytes:
                failed += 1
                said = f"File size {len(content)} bytes exceeds maximum of {self._most_bytes} bytes."
                lines.append(_line(name, "danger", f'<span class="text-danger-500">{said}</span>'))
            else:
                self.files.append((name, content))
                lines.append(_line(name, "success", f"{len(content)} bytes"))
        if self._says is not None:
            return self._says
        head = (
            f"{len(sent) - failed} stored, {failed} failed" if failed else f"All {len(sent)} file(s) stored"
        )
        return f"<div><h3>Upload Results<span>{head}</span></h3><ul>{''.join(lines)}</ul></div>"


def name_at_django(name: str) -> str:
    """Return what MultiPartParser.sanitize_file_name of Django 5.2 makes of a name; "" where it leaves the file out."""
    last = unescape(name).rsplit("/")[-1].rsplit("\\")[-1]
    kept = "".join(letter for letter in last if letter.isprintable())
    return "" if kept in {"", ".", ".."} else kept


async def _not_found(_request: Request, _error: Exception) -> Response:
    return HTMLResponse(PAGE, 404)


def _error(text: str) -> str:
    return f'<div class="bg-danger-50 text-danger-700">\n  {text}\n</div>'


def _line(name: str, word: str, right: str) -> str:
    icon = f'<svg class="w-4 h-4 shrink-0\n          text-{word}-500\n          "><path d="M9 12" /></svg>'
    name = f'<span class="text-sm text-neutral-700 truncate">{escape(name)}</span>'
    return f"<li>\n<div>{icon}\n{name}\n</div>\n<div class='text-xs'>\n{right}\n</div></li>"
