"""Doorito as it runs today: one HTML form that takes ten files, and no API.

POST /app/upload/ ──► a fragment of HTML: a line for each file, in order        no ids, no reading back, no cancel
   └─ 302 to the login, or 403 for the form's token: nothing was stored; signed in anew, and sent once more

What was stored is deleted by the server after 24 hours. Whether a request arrived whose answer was lost nobody can find out,
so it is not repeated without a person. Source of the contract: Doorito's code at cc138e9 (docs/SERVERS.md).
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind, TransferError
from app.remote.account import Account, Line
from app.remote.answer import Answer, failure_of
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
from app.remote.http import http_of
from app.remote.multipart import FilePart, Multipart
from app.remote.parcel import Result, all_alike, by_key, in_order, post_form, send_alone

_K = FailureKind
LARGEST_BYTES = 52_428_800
PARCEL = ParcelLimits(max_files=10, max_bytes=LARGEST_BYTES)
"""It takes ten of the largest, but its web server ends a request that takes longer than 30 s."""
STORED = "stored_for_a_day"
"""The answer of a stored file, " as <name>" after it where the name is another; app.words says it in a sentence."""
PATIENCE_S = 600.0
"""An answer that comes later than this is lost, and nobody can know any more."""
TOO_LONG_S = 20.0
"""A form that breaks off in its middle after so long was perhaps ended by the server's watch: less goes in the next."""

_FIELD = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')
_TOO_MANY = "Too many files"
_UNCERTAIN = Failure(_K.UNCERTAIN, "the answer was lost, and this server cannot be asked")
_UNSAID = Failure(_K.UNCERTAIN, "the server did not say what became of it")
_NAMELESS = frozenset({"", ".", ".."})


class FormLine:
    """What the connections of one account share: the session cookie."""

    def __init__(self, account: Account, patience_s: float = PATIENCE_S) -> None:
        self.account = account
        self.patience_s = patience_s
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
            if page.status >= 500:
                raise http.failure(page)
            if not page.ok or found is None:
                raise TransferError(Failure(_K.NOT_A_SERVER, "no login page answers here", page.status))
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
            if answer.ok:  # the login page again
                raise TransferError(Failure(_K.SIGN_IN, WRONG_SIGN_IN))
            if answer.status not in (302, 303) or "sessionid" not in answer.cookies:
                raise http.failure(answer)
        finally:
            await http.aclose()
        cookies = {"csrftoken": csrf} | dict(answer.cookies)
        return Tokens(cookies={name: cookies[name] for name in ("csrftoken", "sessionid")})


class FormServer:
    """One connection to the form, for one worker. There are no remote ids."""

    def __init__(self, line: FormLine) -> None:
        self._line = line
        self._http = http_of(replace(line.account, read_timeout_s=line.patience_s), line.auth)
        self._path = f"{self._http.base_path}/app/upload/"

    @property
    def abilities(self) -> Abilities:
        """It takes files, and can do nothing else."""
        return Abilities(max_size_bytes=LARGEST_BYTES, max_files=PARCEL.max_files)

    async def greet(self) -> Abilities:
        """Log in and open the page (RemoteServer.greet)."""
        answer = await self._http.ask("GET", self._path)
        if _is_logged_out(answer):
            self._line.auth.forget()
            answer = await self._http.ask("GET", self._path)
        if _is_logged_out(answer):
            raise TransferError(Failure(_K.SIGN_IN, "", answer.status))
        if not answer.ok:
            raise self._http.failure(answer)
        return self.abilities

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Say what the form refuses (PreflightServer.refusal): it writes what is too large, and keeps a failed row.

        What it leaves out without a word would be missing among the lines of its answer.
        """
        if is_left_out(_name(outgoing)):
            return Failure(_K.NAME_REFUSED, "nothing is left of the name at this server")
        if outgoing.size_bytes <= LARGEST_BYTES:
            return None
        return Failure(_K.TOO_LARGE, "larger than the server takes", limit_bytes=LARGEST_BYTES)

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send one file (RemoteServer.send)."""
        return await send_alone(self.send_parcel, outgoing, feed)

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Result]:
        """Send up to ten files in one request (ParcelServer.send_parcel).

        A file of an attempt whose answer was lost is not sent; told so once, a person may have it sent again.
        """
        fresh = [item for item in items if item.outgoing.begun_at is None]
        results = all_alike(items, _UNCERTAIN)
        if fresh:
            answer = await self._post(fresh)
            if answer is None:
                self._line.auth.forget()
                for item in fresh:
                    await item.feed.seek(0)
                answer = await self._post(fresh)
            results |= by_key(fresh, self._results(answer, [_name(item.outgoing) for item in fresh]))
        return in_order(items, results)

    async def look(self, remote_id: str) -> RemoteFile:
        """Nothing can be read back (RemoteServer.look)."""
        return RemoteFile(remote_id, RemoteState.UNKNOWN)

    async def aclose(self) -> None:
        """Close the connections (RemoteServer.aclose)."""
        await self._http.aclose()

    async def _post(self, items: Sequence[ParcelItem]) -> Answer | Failure | None:
        """Send the form. A Failure says that it broke off in its middle, None that its sender is not signed in (any more):
        in both cases nothing was stored."""
        form = Multipart([_part(item) for item in items])
        cookies = (await self._line.auth.tokens()).cookies
        alive = [(item.feed, item.outgoing.size_bytes) for item in items]
        headers = {
            "X-CSRFToken": cookies["csrftoken"],
            "Referer": self._http.url_of(self._path),
            "HX-Request": "true",
        }
        began_at = self._line.account.now()
        try:
            answer = await post_form(self._http, self._path, form, alive, headers)
        except TransferError as error:
            if error.failure.http_status == 401:  # there is a new sign-in already
                return None
            if form.is_out or error.failure.kind is not _K.CONNECTION_LOST:
                raise
            return self._broken_off(error.failure, began_at, len(items))
        if answer.status >= 500 and not form.is_out:  # a worker that was ended says so, if it can
            return self._broken_off(failure_of(answer, self._line.account.now()), began_at, len(items))
        return None if _is_logged_out(answer) or _is_forged(answer) else answer

    def _broken_off(self, failure: Failure, began_at: float, count: int) -> Failure:
        """Return *failure*, of which nothing was stored; raise TOO_LARGE if half of so much may get through."""
        took_s = self._line.account.now() - began_at
        if count > 1 and took_s >= TOO_LONG_S:
            raise TransferError(Failure(_K.TOO_LARGE, f"it broke off after {took_s:.0f} s"))
        return failure

    def _results(self, answer: Answer | Failure | None, names: Sequence[str]) -> Sequence[Result]:
        """Return what became of each file, in order; raise TransferError where nobody knows, or where less may do."""
        count = len(names)
        if answer is None:
            word = "it does not take the form right after a login (CSRF)"
            return [Failure(_K.FORBIDDEN, word, 403)] * count
        if isinstance(answer, Failure):
            return [answer] * count
        if not answer.ok:
            failure = failure_of(answer, self._line.account.now())
            if not 400 <= answer.status < 500 or (failure.kind is _K.TOO_LARGE and count > 1):
                raise TransferError(failure)
            return [failure] * count  # the form was refused as such: nothing was stored
        page = read_results(answer.body)
        if len(page.lines) == count:
            return [_result(line, name) for line, name in zip(page.lines, names, strict=True)]
        if page.error.startswith(_TOO_MANY) and count > 1:
            raise TransferError(
                Failure(_K.TOO_MANY_FILES, page.error)
            )  # the engine sends fewer at once from now on
        if page.error and not page.lines:
            return [Failure(_K.REFUSED, page.error)] * count
        return [_UNSAID] * count


@dataclass(slots=True)
class ResultLine:
    """One file of the answer: whether it was stored, its name there, and the error beside it."""

    is_stored: bool = False
    name: str = ""
    text: str = ""


@dataclass(slots=True)
class Results:
    """The fragment: an error of the whole form, or a line for each file in the order of the request."""

    error: str = ""
    lines: list[ResultLine] = field(default_factory=list)


def read_results(html: str) -> Results:
    """Read the fragment that the form answers with."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.results


class _Reader(HTMLParser):
    """Colours are all that tells good from bad: ``text-success-…`` and ``text-danger-…``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.results = Results()
        self._line: ResultLine | None = None
        self._is_error = self._is_name = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = dict(attrs).get("class") or ""
        if tag == "li":
            self._line = ResultLine()
            self.results.lines.append(self._line)
        if self._line is not None:
            self._line.is_stored |= "text-success" in classes
        self._is_error = "text-danger" in classes
        self._is_name = (
            tag == "span" and self._line is not None and not self._line.name and not self._is_error
        )

    def handle_endtag(self, tag: str) -> None:
        self._is_error = self._is_name = False
        if tag == "li":
            self._line = None

    def handle_data(self, data: str) -> None:
        if self._is_name and self._line is not None:
            self._line.name += data
            return
        text = " ".join(data.split())
        if not (self._is_error and text):
            return
        if self._line is None:
            self.results.error = text
        else:
            self._line.text = text


def is_left_out(name: str) -> bool:
    """Whether the server (Django) leaves a file out without a word: nothing is left of its name there."""
    last = name.rpartition("\\")[2]
    return "".join(letter for letter in last if letter.isascii() or letter.isprintable()) in _NAMELESS


def sent_name(name: str) -> str:
    """Return a name as it must be sent to be read right: Django takes HTML's references in it for what they stand for."""
    quoted = name.replace('"', "&quot;")
    if html.unescape(quoted) == name:
        return quoted
    return name.replace("&", "&amp;").replace('"', "&quot;")


def _result(line: ResultLine, name: str) -> Result:
    if not line.is_stored:
        return Failure(_K.REFUSED, line.text)
    return Sent("", STORED if line.name in ("", name) else f"{STORED} as {line.name}")


def _name(outgoing: Outgoing) -> str:
    return outgoing.relative_path.rpartition("/")[2]


def _part(item: ParcelItem) -> FilePart:
    # The server guesses the type from the name, whatever the part says.
    name = sent_name(_name(item.outgoing))
    return FilePart("files", name, "application/octet-stream", item.outgoing.size_bytes, item.feed)


def _is_logged_out(answer: Answer) -> bool:
    return answer.status in (301, 302, 303) and "/login" in answer.headers.get("location", "")


def _is_forged(answer: Answer) -> bool:
    """Whether the form's token was not taken."""
    return answer.status == 403 and "csrf" in answer.body.casefold()


def open_form(account: Account) -> Line:
    """Return what all connections of *account* share."""
    return FormLine(account)
