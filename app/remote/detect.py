"""From whatever address a person pastes to the server behind it: which dialect, at which address, and what it can do.

Nothing is concluded from a host's name; app.remote.probes has the questions. They go out a few at a time, send no secret
and leave nothing behind.

pasted ──► what lies above a known tail ("/docs", "/v1"), the address itself, its parent, its root
              │ until something is proved; over https first unless the person said how
              ▼
           Detected, or a TransferError that says what answers there instead
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import DIRECT_WAY, Account, Endpoint, Way
from app.remote.answer import Answer
from app.remote.base import Abilities
from app.remote.http import Http
from app.remote.network import is_loopback
from app.remote.probes import PROBES, TAILS, Ask, Probe, Rank
from app.remote.registry import SignsIn, dialect

_K = FailureKind
_EACH_S = 5.0
_ALL_S = 15.0
_AT_ONCE = 4
_NO_ANSWER = Answer(0, {})
_NOT_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_EOF_WHILE_READING",
    }
)
"""What OpenSSL says (``reason``) when the other side speaks no TLS at all."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What answers at an address. ``url`` is the server's own address, to be used from now on.

    ``abilities`` is None where the server tells them only to those who have signed in. ``sentence`` is for a person.
    """

    dialect: str
    title: str
    url: str
    signs_in: SignsIn
    may_be_anonymous: bool
    abilities: Abilities | None
    sentence: str


async def detect(
    text: str, way: Way = DIRECT_WAY, *, each_s: float = _EACH_S, all_s: float = _ALL_S
) -> Detected:
    """Return what answers at the address *text*, with or without scheme and path. Raises TransferError.

    No question takes longer than *each_s* seconds, and all together no longer than *all_s*.
    """
    try:
        async with asyncio.timeout(all_s):
            found, url = await _first_that_answers(_addresses(text), way, each_s)
            return await _described(found, url, way)
    except TimeoutError:
        raise TransferError(Failure(_K.UNREACHABLE, f"it did not answer within {all_s:g} seconds")) from None


def _addresses(text: str) -> Sequence[str]:
    """What a person may have meant, likeliest first."""
    text = text.strip().partition("#")[0].partition("?")[0]
    if "://" in text:
        return (text,)
    with contextlib.suppress(ValueError):
        if is_loopback(urlsplit(f"//{text}").hostname or ""):
            return (f"http://{text}", f"https://{text}")
    return (f"https://{text}", f"http://{text}")


async def _first_that_answers(addresses: Sequence[str], way: Way, each_s: float) -> tuple[Probe, str]:
    failures: list[Failure] = []
    for address in addresses:
        try:
            return await _look_at(address, way, each_s)
        except TransferError as error:
            failures.append(error.failure)
        if address.startswith("https:") and not _speaks_no_tls(failures[-1]):
            break  # a server whose certificate is not trusted is not asked again without any
    # What was heard by the one protocol says more than that nobody was there, or hung up, by the other.
    telling = [each for each in failures if each.kind not in (_K.UNREACHABLE, _K.CONNECTION_LOST)]
    raise TransferError((telling or failures)[0])


def _speaks_no_tls(failure: Failure) -> bool:
    return failure.kind in (_K.UNREACHABLE, _K.CONNECTION_LOST) or failure.detail in _NOT_TLS


async def _look_at(address: str, way: Way, each_s: float) -> tuple[Probe, str]:
    """Return the row that is proved at *address*, and the server's own address. Raises TransferError."""
    async with _client(address, way, each_s) as http:
        first = await _ask(http, "GET", http.whole_path, {}, each_s)
        elsewhere = _encrypted(first, http.url_of(http.whole_path))
        if not elsewhere:
            found = await _nearest(http, each_s)
            if found is None:
                raise TransferError(_nothing(first))
            probe, path = found
            return probe, http.url_of(path) if path else http.url_of("/").rstrip("/")
    return await _look_at(elsewhere, way, each_s)


@contextlib.asynccontextmanager
async def _client(address: str, way: Way, each_s: float) -> AsyncIterator[Http]:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if any(each.isspace() for each in parts.netloc):
        parts = urlsplit("")
    url = urlunsplit((parts.scheme, parts.netloc, quote(parts.path, safe="/%:@!$&'()*+,;=-._~"), "", ""))
    http = Http(url, None, way=way, read_timeout_s=each_s)
    try:
        yield http
    finally:
        await http.aclose()


def _encrypted(answer: Answer, url: str) -> str:
    """Return the https address that an http server sends everybody to, "" if it does not."""
    target = urlsplit(answer.headers.get("location", "")) if 300 <= answer.status < 400 else urlsplit("")
    asked = urlsplit(url)
    if asked.scheme == "http" and target.scheme == "https" and target.hostname == asked.hostname:
        return urlunsplit(("https", target.netloc, asked.path, "", ""))
    return ""


async def _nearest(http: Http, each_s: float) -> tuple[Probe, str] | None:
    """Return what is proved, and the path of its address. Raises TransferError if it could be several.

    Whoever pastes a page or a route of a server means the server; else the nearest to what was pasted is meant.
    """
    pasted = http.whole_path
    whole = pasted.rstrip("/")
    cuts = {whole[:at] for tail in TAILS for at in _places(whole, tail)}
    for base in sorted(cuts, key=len, reverse=True):
        owners = [each for each in PROBES if each.below and _has_below(each, whole[len(base) :])]
        if proved := await _proved(http, base, owners, each_s):
            return _only(proved), f"{base}{_only(proved).adds}"
    # The slash at the end of what was pasted may be part of the address.
    for base in dict.fromkeys((pasted if whole else "", whole.rpartition("/")[0], "")):
        if proved := await _proved(http, base, PROBES, each_s):
            found = _only(proved)
            if found.rank is Rank.IS_A_PROTOCOL and not found.adds:
                return found, base
            return await _upwards(http, found, base.rstrip("/"), each_s)
    return None


async def _upwards(http: Http, found: Probe, base: str, each_s: float) -> tuple[Probe, str]:
    """Return the shallowest address that proves the same: some servers answer alike below every path of theirs."""
    above = base.rpartition("/")[0]
    same = [each for each in PROBES if each.dialect == found.dialect and each.rank is found.rank]
    if base and (proved := await _proved(http, above, same, each_s)):
        return await _upwards(http, proved[0], above, each_s)
    return found, f"{base}{found.adds}"


def _places(path: str, tail: str) -> Sequence[int]:
    """Where *tail* begins in *path*, as whole parts."""
    return [
        at for at in range(len(path)) if path.startswith(tail, at) and path[at + len(tail) :][:1] in ("", "/")
    ]


def _has_below(probe: Probe, rest: str) -> bool:
    return any(0 in _places(rest, tail) for tail in probe.below)


async def _proved(http: Http, base: str, probes: Sequence[Probe], each_s: float) -> list[Probe]:
    """Ask what these rows ask below *base*; return those that are proved, the best first."""
    asks = list(dict.fromkeys(ask for probe in probes for ask in probe.asks))
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(ask: Ask) -> Answer:
        path = f"{base.rstrip('/')}{ask.path}" if ask.path else base or "/"
        async with few:
            try:
                return await _ask(http, ask.method, path, ask.headers, each_s)
            except TransferError:
                return _NO_ANSWER

    answers: Mapping[Ask, Answer] = dict(zip(asks, await asyncio.gather(*map(one, asks)), strict=True))
    proved = [probe for probe in probes if probe.proves([answers[ask] for ask in probe.asks])]
    return sorted(proved, key=lambda probe: probe.rank)


async def _ask(http: Http, method: str, path: str, headers: Mapping[str, str], each_s: float) -> Answer:
    try:
        async with asyncio.timeout(each_s):
            return await http.ask(method, path, headers=headers)
    except TimeoutError:
        raise TransferError(Failure(_K.UNREACHABLE, f"it did not answer within {each_s:g} seconds")) from None


def _only(proved: Sequence[Probe]) -> Probe:
    """Return the best row. Raises TransferError where others are as good."""
    equal = {probe.dialect for probe in proved if probe.rank is proved[0].rank}
    if len(equal) > 1:
        names = " or ".join(sorted(dialect(name).title for name in equal))
        raise TransferError(Failure(_K.NOT_A_SERVER, f"it could be {names}: say which kind of server it is"))
    return proved[0]


def _nothing(first: Answer) -> Failure:
    """Say what answers there instead of a server that we know."""
    if first.is_html or 300 <= first.status < 400:
        what = "a web page answers there, perhaps one to sign in by, and no server that Uphaul knows"
    elif first.status in (401, 403):
        what = "it wants a sign-in before it says what it is: say which kind of server it is"
    else:
        what = "something answers there, but no server that Uphaul knows"
    return Failure(_K.NOT_A_SERVER, what, first.status)


async def _described(probe: Probe, url: str, way: Way) -> Detected:
    kind = dialect(probe.dialect)
    words = {
        SignsIn.TOKEN: "a token",
        SignsIn.PASSWORD: "a name and a password",
        SignsIn.PASSWORD_OR_TOKEN: "a name and a password, or a token",
    }[kind.signs_in]
    wants = f"may want {words}, or take files of anybody" if kind.may_be_anonymous else f"wants {words}"
    sentence = f"{kind.title} answers there. It {wants}."
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        sentence += " The connection is not encrypted: others on the way can read what is sent."
    return Detected(
        kind.name,
        kind.title,
        url,
        kind.signs_in,
        kind.may_be_anonymous,
        await _abilities(kind.name, url, way),
        sentence,
    )


async def _abilities(name: str, url: str, way: Way) -> Abilities | None:
    """What the server says of itself to somebody who has not signed in."""
    line = dialect(name).open(Account(Endpoint(url, way=way), read_timeout_s=_EACH_S))
    try:
        server = line.connect()
        try:
            return await server.greet()
        except TransferError as error:
            known = server.abilities
            return known if error.failure.kind is _K.SIGN_IN and known != Abilities() else None
        finally:
            await server.aclose()
    except TransferError:
        return None
    finally:
        await line.aclose()
