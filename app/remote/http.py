"""The only module that knows httpx: sends requests, returns frozen answers, turns foreign errors into failures."""

import contextlib
import functools
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.request import getproxies

import certifi
import httpcore
import httpx

from app import __version__
from app.domain.failure import Failure, FailureKind, TransferError
from app.remote import network
from app.remote.answer import Answer, failure_of

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

    *url* is the server's address without a name or password in it; *token*, if any, goes out as a bearer token to
    that host alone. Redirects are never followed: a body cannot be sent twice. Writing has no timeout here: whoever
    sends watches whether bytes still move. Every method raises TransferError, and nothing else, for what the network
    or the server does; an answer with an error status is an Answer.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        read_timeout_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = _checked(url)
        self._clock = clock
        self._headers = [
            (b"Host", self._origin.netloc),
            (b"User-Agent", f"uphaul/{__version__}".encode()),
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
        ]
        if token is not None:
            self._headers.append((b"Authorization", b"Bearer " + _token_bytes(token)))
        self._timeout = httpx.Timeout(
            read_timeout_s, connect=_CONNECT_TIMEOUT_S, write=None, pool=None
        ).as_dict()
        # A proxy named in the environment must not be asked for the server on this very computer.
        trust_env = not _is_loopback(self._origin.host)
        is_direct = self._origin.scheme == "http" and not (trust_env and getproxies())
        self._client = httpx.AsyncClient(
            verify=_tls_context() if self._origin.scheme == "https" else _no_tls(),
            limits=_LIMITS,
            transport=_direct_transport() if is_direct and network.works_here() else None,
            trust_env=trust_env,
        )

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
        payload: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send a request without a body or with a small JSON *payload*; *path* is absolute and percent-encoded.

        GET, HEAD and OPTIONS are repeated once on a fresh connection if the first one was cut.
        """
        body = b"" if payload is None else json.dumps(payload).encode()
        sent = dict(headers or {})
        if payload is not None:
            sent["Content-Type"] = "application/json"
        length = len(body) if method in ("POST", "PUT", "PATCH") else None
        try:
            return await self._exchange(method, path, sent, httpx.ByteStream(body), length)
        except TransferError as error:
            if error.failure.kind is not _K.CONNECTION_LOST or method not in ("GET", "HEAD", "OPTIONS"):
                raise
        return await self._exchange(method, path, sent, httpx.ByteStream(body), length)

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
        answer, CONNECTION_LOST says that nobody knows how much arrived. Errors of *blocks* pass through.
        """
        return await self._exchange(method, path, headers, _Body(blocks), size_bytes)

    def failure(self, answer: Answer) -> TransferError:
        """Return the error that this answer stands for, to be raised by a caller who expected another status."""
        return TransferError(failure_of(answer, self._clock()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

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
                return Answer(response.status_code, _lower(response.headers), await _text(response))
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = failure_from(error)
        # Outside of the handler, so that the foreign error (it holds the request and its token) is not our context.
        raise TransferError(failure)


def _direct_transport() -> httpx.AsyncHTTPTransport:
    """httpx's own transport over a pool of plain sockets, which it has no argument for."""
    transport = httpx.AsyncHTTPTransport(verify=_no_tls())
    transport._pool = httpcore.AsyncConnectionPool(
        max_connections=_LIMITS.max_connections,
        max_keepalive_connections=_LIMITS.max_keepalive_connections,
        keepalive_expiry=_LIMITS.keepalive_expiry,
        network_backend=network.SocketBackend(),
    )
    return transport


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
        return Failure(_K.TLS, getattr(tls, "verify_message", "") or tls.reason or "the TLS handshake failed")
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


def _token_bytes(token: str) -> bytes:
    if token.isascii() and token.isprintable():
        return token.encode()
    raise TransferError(Failure(_K.SIGN_IN, "the token holds characters that no token has"))


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _text(response: httpx.Response) -> str:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) >= _ANSWER_CAP_BYTES:
            break
    return body[:_ANSWER_CAP_BYTES].decode("utf-8", "replace")


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """The certificates of the system and of certifi: companies add to the one, frozen programs find only the other."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@functools.cache
def _no_tls() -> ssl.SSLContext:
    """For plain http: trusts nobody, and spares the 20 ms of reading certificates that are never needed."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
