"""Doorito as it runs today: one HTML form that takes ten files, and no API.

POST /app/upload/ ──► a fragment of HTML: a line for each file, in order        no ids, no reading back, no cancel

What was stored is deleted by the server after 24 hours. Whether a request arrived whose answer was lost nobody can find out,
so it is not repeated without a person. Source of the contract: Doorito's code at cc138e9 (docs/SERVERS.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Account, Line
from app.remote.answer import Answer
from app.remote.auth import SignedIn, Tokens
from app.remote.base import (
    Abilities,
    Feed,
    Outgoing,
    ParcelItem,
    ParcelLimits,
    RemoteFile,
    RemoteServer,
    RemoteState,
    Sent,
)
from app.remote.beating import beating
from app.remote.http import http_of
from app.remote.multipart import FilePart, Multipart

LARGEST_BYTES = 52_428_800
PARCEL = ParcelLimits(max_files=10, max_bytes=10 * LARGEST_BYTES)
STORED = "stored_for_a_day"
"""The answer of a stored file; app.words says it in a sentence."""

_FIELD = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')
_PERHAPS = (
    "an earlier request may have arrived, and this server cannot tell: look there before you try it again"
)


class FormLine:
    """What the connections of one account share: the session cookie."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.auth = SignedIn(self._sign_in, None, account.now)

    def connect(self) -> RemoteServer:
        """Return a connection (Line.connect)."""
        return FormServer(self)

    async def aclose(self) -> None:
        """There is nothing to close (Line.aclose)."""

    async def _sign_in(self) -> Tokens:
        """Log in as a browser does: the page's token goes back with the form (Django's CSRF protection)."""
        user, password = self.account.password()
        http = http_of(self.account, None)
        path = f"{http.base_path}/app/login/"
        try:
            page = await http.ask("GET", path)
            found = _FIELD.search(page.body)
            if not page.ok or found is None:
                raise TransferError(
                    Failure(FailureKind.NOT_A_SERVER, "no login page answers here", page.status)
                )
            csrf = page.cookies.get("csrftoken", "")
            answer = await http.ask(
                "POST",
                path,
                form={
                    "csrfmiddlewaretoken": found[1],
                    "username": user,
                    "password": password,
                    "remember_me": "on",
                },
                headers={"Cookie": f"csrftoken={csrf}", "Referer": http.url_of(path)},
            )
        finally:
            await http.aclose()
        if answer.status not in (302, 303) or "sessionid" not in answer.cookies:
            raise TransferError(
                Failure(FailureKind.SIGN_IN, "the name or the password is wrong", answer.status)
            )
        cookies = {"csrftoken": csrf} | dict(answer.cookies)
        return Tokens(cookies={name: cookies[name] for name in ("csrftoken", "sessionid")})


class FormServer:
    """One connection to the form, for one worker. There are no remote ids."""

    def __init__(self, line: FormLine) -> None:
        self._line = line
        self._http = http_of(line.account, line.auth)
        self._path = f"{self._http.base_path}/app/upload/"

    @property
    def abilities(self) -> Abilities:
        """It takes files, and can do nothing else."""
        return Abilities(max_size_bytes=LARGEST_BYTES, max_files=PARCEL.max_files)

    async def greet(self) -> Abilities:
        """Log in and open the page (RemoteServer.greet)."""
        answer = await self._http.ask("GET", self._path)
        if _logged_out(answer):
            raise TransferError(Failure(FailureKind.SIGN_IN, "", answer.status))
        if not answer.ok:
            raise self._http.failure(answer)
        return self.abilities

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Say what the form refuses (PreflightServer.refusal): it writes what is too large, and keeps a failed row."""
        if outgoing.size_bytes <= LARGEST_BYTES:
            return None
        return Failure(FailureKind.TOO_LARGE, "larger than the server takes", limit_bytes=LARGEST_BYTES)

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send one file (RemoteServer.send)."""
        (result,) = await self.send_parcel([ParcelItem(outgoing, feed)])
        if isinstance(result, Failure):
            raise TransferError(result)
        return result

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Sent | Failure]:
        """Send up to ten files in one request (ParcelServer.send_parcel)."""
        results: dict[str, Sent | Failure] = {
            item.outgoing.key: Failure(FailureKind.REFUSED, _PERHAPS)
            for item in items
            if item.outgoing.begun_at is not None
        }
        fresh = [item for item in items if item.outgoing.key not in results]
        while fresh:
            form = _form(fresh)
            try:
                answer = await self._post(form, fresh)
            except TransferError as error:
                if form.broken is None:
                    raise
                broken = fresh[form.broken]
                results[broken.outgoing.key] = error.failure
                fresh = [item for item in fresh if item is not broken]
                continue
            results |= self._results(answer, fresh)
            break
        return [results[item.outgoing.key] for item in items]

    async def look(self, remote_id: str) -> RemoteFile:
        """Nothing can be read back (RemoteServer.look)."""
        return RemoteFile(remote_id, RemoteState.UNKNOWN)

    async def aclose(self) -> None:
        """Close the connections (RemoteServer.aclose)."""
        await self._http.aclose()

    async def _post(self, form: Multipart, items: Sequence[ParcelItem]) -> Answer:
        cookies = (await self._line.auth.tokens()).cookies
        feeds = [(item.feed, item.outgoing.size_bytes) for item in items]
        async with beating(feeds, once=lambda: form.is_out):
            answer = await self._http.stream_body(
                "POST",
                self._path,
                headers={
                    "Content-Type": form.content_type,
                    "X-CSRFToken": cookies["csrftoken"],
                    "Referer": self._http.url_of(self._path),
                    "HX-Request": "true",
                },
                size_bytes=form.size_bytes,
                blocks=form,
            )
        if _logged_out(answer):
            self._line.auth.forget()
            raise TransferError(
                Failure(FailureKind.CONFLICT, "the session had ended; there will be a new one", answer.status)
            )
        return answer

    def _results(self, answer: Answer, items: Sequence[ParcelItem]) -> dict[str, Sent | Failure]:
        if not answer.ok:
            raise self._http.failure(answer)
        page = read_results(answer.body)
        if not page.lines:
            raise TransferError(
                Failure(FailureKind.REFUSED, page.heading or "the server did not say what it stored")
            )
        results: dict[str, Sent | Failure] = {
            item.outgoing.key: Sent("", STORED) if line.is_stored else Failure(FailureKind.REFUSED, line.text)
            for item, line in zip(items, page.lines, strict=False)
        }
        lost = Failure(FailureKind.REFUSED, "the server did not say what became of it")
        return {item.outgoing.key: results.get(item.outgoing.key, lost) for item in items}


@dataclass(slots=True)
class ResultLine:
    """One file of the answer: whether it was stored, and the text beside its name."""

    is_stored: bool = False
    text: str = ""


@dataclass(slots=True)
class Results:
    """The fragment: a sentence on top, and a line for each file, in the order of the request."""

    heading: str = ""
    lines: list[ResultLine] = field(default_factory=list)


def read_results(html: str) -> Results:
    """Read the fragment that the form answers with."""
    reader = _Reader()
    reader.feed(html)
    return reader.results


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.results = Results()
        self._line: ResultLine | None = None
        self._is_error = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = dict(attrs).get("class") or ""
        if tag == "li":
            self._line = ResultLine()
            self.results.lines.append(self._line)
        if self._line is not None:
            self._line.is_stored |= "text-success" in classes
            self._is_error = "text-danger" in classes

    def handle_endtag(self, tag: str) -> None:
        self._is_error = False
        if tag == "li":
            self._line = None

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if self._line is None:
            self.results.heading = self.results.heading or text
        elif self._is_error and text:
            self._line.text = text


def _form(items: Sequence[ParcelItem]) -> Multipart:
    def part(item: ParcelItem) -> FilePart:
        name = item.outgoing.relative_path.rpartition("/")[2]
        # The server guesses the type from the name, whatever the part says.
        return FilePart("files", name, "application/octet-stream", item.outgoing.size_bytes, item.feed)

    return Multipart([part(item) for item in items])


def _logged_out(answer: Answer) -> bool:
    return answer.status in (301, 302, 303) and "/login" in answer.headers.get("location", "")


def open_form(account: Account) -> Line:
    """Return what all connections of *account* share."""
    return FormLine(account)
