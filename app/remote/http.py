"""The only module that knows httpx: sends requests, returns frozen answers, turns foreign errors into failures."""

import contextlib
import functools
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode
from urllib.request import getproxies

import httpcore
import httpx

from app import __version__
from app.domain.failure import Failure, FailureKind, TransferError
from app.remote import network
from app.remote.account import DIRECT_WAY, NO_PROXY, SYSTEM_PROXY, Account, Way
from app.remote.answer import Answer, failure_of
from app.remote.auth import Auth, Headers
from app.remote.network import is_loopback
from app.remote.tls import context_for, no_tls, tls_detail

_K = FailureKind

# Longer answers are cut: the longest honest one is a page of 1,000 files.
_ANSWER_CAP_BYTES = 4 * 2**20
# Below uvicorn's 5 s, so that the server never closes a connection in the moment that we take it up again.
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=1, keepalive_expiry=4.0)
_CONNECT_TIMEOUT_S = 10.0

_ERRORS: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ReadTimeout, _K.STALLED),
    (httpx.WriteTimeout, _K.STALLED),
    (httpx.TimeoutException, _K.UNREACHABLE),
    (httpx.ConnectError, _K.UNREACHABLE),
    (httpx.ProxyError, _K.UNREACHABLE),
    (httpx.NetworkError, _K.CONNECTION_LOST),
    (httpx.RemoteProtocolError, _K.NOT_A_SERVER),
    (httpx.UnsupportedProtocol, _K.NOT_A_SERVER),
    (httpx.DecodingError, _K.NOT_A_SERVER),
    (httpx.HTTPError, _K.CONNECTION_LOST),
)
"""First match wins. :func:`failure_from` refines it by the error's cause and text."""

_CUT_TEXTS = ("Server disconnected", "peer closed connection")


class Http:
    """One client for one server; a worker has its own, and uses it for one request at a time.

    *url* is the server's address without a name or password in it; what *auth* says goes to that host alone, and is
    renewed once when the server refuses it. Redirects are never followed: a body cannot be sent twice. Writing has no
    timeout here: whoever sends watches whether bytes still move. Every method raises TransferError, and nothing else,
    for what the network or the server does; an answer with an error status is an Answer.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | None,
        *,
        way: Way = DIRECT_WAY,
        read_timeout_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        longest_answer_bytes: int = _ANSWER_CAP_BYTES,
    ) -> None:
        self._origin = _checked(url)
        self._auth = auth
        self._just_renewed: Headers | None = None
        self._clock = clock
        self._cap_bytes = longest_answer_bytes
        self._headers = [
            (b"Host", self._origin.netloc),
            (b"User-Agent", f"uphaul/{__version__}".encode()),
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
        ]
        self._timeout = httpx.Timeout(
            read_timeout_s, connect=_CONNECT_TIMEOUT_S, write=None, pool=None
        ).as_dict()
        self._client = _client(self._origin, way)

    @property
    def whole_path(self) -> str:
        """The path of the address as it was given, percent-encoded."""
        return self._origin.raw_path.decode("ascii").partition("?")[0]

    @property
    def base_path(self) -> str:
        """The path of the address without a slash at its end: what the paths of an API below it begin with."""
        return self.whole_path.rstrip("/")

    def url_of(self, path: str) -> str:
        """Return the whole address of *path*, which is absolute and percent-encoded."""
        return str(self._origin.copy_with(raw_path=path.encode("ascii")))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        payload: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request without a body, or with a small one: JSON (*payload*) or a *form*, percent-encoded.

        *path* is absolute and percent-encoded. GET, HEAD and OPTIONS are repeated once on a fresh connection if the
        first one was cut; all are repeated once with a renewed sign-in after a 401.
        """
        body, kind = _small_body(payload, form)
        sent = {**(headers or {}), **({"Content-Type": kind} if kind else {})}
        length = len(body) if method in ("POST", "PUT", "PATCH") or body else None

        async def once(who: Headers) -> Answer:
            return await self._exchange(method, path, {**who, **sent}, httpx.ByteStream(body), length)

        who = await self._who()
        answer = await _again_if_cut(method, functools.partial(once, who))
        if answer.status == 401 and await self._renewed(who):
            answer = await _again_if_cut(method, functools.partial(once, await self._who()))
        return answer

    async def stream_body(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        size_bytes: int,
        blocks: AsyncIterator[bytes],
    ) -> Answer:
        """Send exactly *size_bytes* from *blocks*, each taken when the one before is on its way.

        If the server answers before the end, or cuts the connection after it has, that answer is returned; if it did not
        answer, CONNECTION_LOST says that nobody knows how much arrived. A 401 after which there is a new sign-in is
        CONFLICT: to be sent again from its start; a 401 to that new one is an answer. Errors of *blocks* pass through.
        """
        who = await self._who()
        answer = await self._exchange(method, path, {**who, **headers}, _Body(blocks), size_bytes)
        if answer.status == 401 and who != self._just_renewed and await self._renewed(who):
            self._just_renewed = await self._who()
            raise TransferError(Failure(_K.CONFLICT, "the sign-in had run out; there is a new one", 401))
        return answer

    def failure(self, answer: Answer) -> TransferError:
        """Return the error that this answer stands for, to be raised by a caller who expected another status."""
        return TransferError(failure_of(answer, self._clock()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _who(self) -> Headers:
        return {} if self._auth is None else await self._auth.headers()

    async def _renewed(self, used: Headers) -> bool:
        return self._auth is not None and await self._auth.renew(used)

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: httpx.AsyncByteStream,
        length: int | None,
    ) -> Answer:
        sent = self._headers + [(name.encode(), value.encode()) for name, value in headers.items()]
        if length is not None:
            sent.append((b"Content-Length", b"%d" % length))
        request = httpx.Request(
            method,
            self._origin.copy_with(raw_path=path.encode("ascii")),
            headers=sent,
            stream=body,
            extensions={"timeout": self._timeout},
        )
        try:
            response = await self._client.send(request, stream=True, follow_redirects=False)
            try:
                return await _answer(response, self._cap_bytes)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = failure_from(error)
        # Outside of the handler, so that the foreign error (it holds the request and its token) is not our context.
        raise TransferError(failure)


def _client(origin: httpx.URL, way: Way) -> httpx.AsyncClient:
    """One client that goes the person's way. Raises TransferError for certificates that cannot be used."""
    # A proxy named in the environment must not be asked for the server on this very computer.
    by_system = way.proxy == SYSTEM_PROXY and not is_loopback(origin.host)
    by_address = way.proxy not in (SYSTEM_PROXY, NO_PROXY)
    is_direct = origin.scheme == "http" and not by_address and not (by_system and getproxies())
    verify = context_for(way) if origin.scheme == "https" else no_tls()
    try:
        return httpx.AsyncClient(
            verify=verify,
            limits=_LIMITS,
            transport=_direct_transport() if is_direct and network.works_here() else None,
            trust_env=by_system,
            proxy=_proxy(way) if by_address else None,
        )
    except (httpx.InvalidURL, ValueError):
        failure = Failure(_K.UNREACHABLE, "the proxy's address cannot be used")
    except ImportError:  # httpx needs one more package for these
        failure = Failure(_K.UNREACHABLE, "the proxy is a SOCKS proxy, which Uphaul does not speak")
    # Outside of the handlers: the foreign error may quote the proxy's password.
    raise TransferError(failure)


def _proxy(way: Way) -> httpx.Proxy:
    url = httpx.URL(way.proxy)
    if way.proxy_password:
        url = url.copy_with(username=url.username, password=way.proxy_password)
    # A proxy that is itself reached over TLS shows a certificate of its own.
    return httpx.Proxy(url, ssl_context=context_for(way) if url.scheme == "https" else None)


def _direct_transport() -> httpx.AsyncHTTPTransport:
    """httpx's own transport over a pool of plain sockets, which it has no argument for."""
    transport = httpx.AsyncHTTPTransport(verify=no_tls())
    transport._pool = httpcore.AsyncConnectionPool(
        max_connections=_LIMITS.max_connections,
        max_keepalive_connections=_LIMITS.max_keepalive_connections,
        keepalive_expiry=_LIMITS.keepalive_expiry,
        network_backend=network.SocketBackend(),
    )
    return transport


def http_of(account: Account, auth: Auth | None) -> Http:
    """Return a client of its own for one connection of *account*. Raises TransferError for an address that cannot be."""
    return Http(
        account.endpoint.url,
        auth,
        way=account.endpoint.way,
        read_timeout_s=account.read_timeout_s,
        clock=account.now,
    )


async def _again_if_cut(method: str, send: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await send()
    except TransferError as error:
        if error.failure.kind is not _K.CONNECTION_LOST or method not in ("GET", "HEAD", "OPTIONS"):
            raise
    return await send()


def _small_body(payload: object, form: Mapping[str, str] | None) -> tuple[bytes, str]:
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    if payload is not None:
        return json.dumps(payload).encode(), "application/json"
    return b"", ""


class _Body(httpx.AsyncByteStream):
    """Hands an iterator through as it is: httpx's own wrapper is a generator that a cancel leaves unfinished."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._blocks


def failure_from(error: Exception) -> Failure:
    """Return the Failure for an exception of httpx; its text never holds a header or a body."""
    tls = _tls_error(error)
    if tls is not None:
        return Failure(_K.TLS, tls_detail(tls))
    text = str(error)
    if isinstance(error, httpx.RemoteProtocolError) and text.startswith(_CUT_TEXTS):
        return Failure(_K.CONNECTION_LOST, "the server closed the connection")
    if isinstance(error, httpx.LocalProtocolError) and "Content-Length" in text:
        return Failure(_K.FILE_CHANGED, "its size changed while it was sent")
    if isinstance(error, httpx.LocalProtocolError):
        return Failure(_K.INTERNAL, "a request that HTTP does not allow")  # its text repeats headers
    for kind_of_error, kind in _ERRORS:
        if isinstance(error, kind_of_error):
            return Failure(kind, text or type(error).__name__)
    return Failure(_K.NOT_A_SERVER, "this is not a web address")


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise TransferError(
            Failure(_K.NOT_A_SERVER, "the address must begin with http:// or https:// and a host")
        )
    if parsed.userinfo:
        raise TransferError(Failure(_K.NOT_A_SERVER, "the address must not hold a name or password"))
    return parsed


async def _answer(response: httpx.Response, cap_bytes: int) -> Answer:
    cookies: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        with contextlib.suppress(CookieError):
            cookies.load(line)
    return Answer(
        response.status_code,
        _lower(response.headers),
        await _text(response, cap_bytes),
        {name: morsel.value for name, morsel in cookies.items()},
    )


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _text(response: httpx.Response, cap_bytes: int) -> str:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) >= cap_bytes:
            break
    return body[:cap_bytes].decode("utf-8", "replace")
