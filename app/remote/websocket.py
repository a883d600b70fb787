"""The only module that knows websockets: one socket to one server, with its errors turned into failures."""

import ssl
from collections.abc import AsyncIterable, Mapping
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)

from app import __version__
from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import NO_PROXY, SYSTEM_PROXY, Account, Way
from app.remote.answer import STATUS_KINDS
from app.remote.network import is_loopback
from app.remote.tls import context_for, tls_detail

_K = FailureKind
_HANDSHAKE_S = 20.0
_PATIENT_HANDSHAKE_S = 50.0
_PING_TIMEOUT_S = 20.0
_CLOSE_S = 2.0
_MOST_BYTES = 4 * 2**20


class SocketClosedError(Exception):
    """The socket is closed, by whom ever. ``code`` is 1006 if there was no closing frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".strip())
        self.code = code
        self.reason = reason


class WebSocket:
    """An open socket; used by one reader and one writer, closed by its owner.

    A ping goes out every 20 s; a peer that answers none for 20 s is as good as gone (SocketClosedError).
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: str | bytes | memoryview | AsyncIterable[bytes]) -> None:
        """Send one text or binary message; waits while the server does not read. Raises SocketClosedError.

        An iterable is one binary message, of which each piece goes out as soon as it is there.
        """
        try:
            await self._connection.send(data)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def receive(self) -> str | bytes:
        """Return the next message. Raises SocketClosedError."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def aclose(self) -> None:
        """Close it in order; a peer that does not answer is left after 2 s."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def open_socket(
    account: Account, path: str, *, headers: Mapping[str, str] | None = None, patient: bool = False
) -> WebSocket:
    """Open a socket at *path* (absolute, percent-encoded, with its query) of the account's server.

    *patient*: this server may let a handshake or the answer to a ping wait while it is busy with what was sent.
    No Origin goes out: the servers we know refuse a foreign one. Raises TransferError; its ``http_status`` is that of
    a refused handshake.
    """
    parts = urlsplit(account.endpoint.url)
    secure = parts.scheme == "https"
    path, _, query = path.partition("?")
    url = urlunsplit(("wss" if secure else "ws", parts.netloc, path, query, ""))
    try:
        connection = await connect(
            url,
            additional_headers=dict(headers or {}),
            user_agent_header=f"uphaul/{__version__}",
            ssl=context_for(account.endpoint.way) if secure else None,
            proxy=_proxy(account.endpoint.way, parts.hostname or ""),
            compression=None,
            open_timeout=_PATIENT_HANDSHAKE_S if patient else _HANDSHAKE_S,
            ping_timeout=None if patient else _PING_TIMEOUT_S,
            close_timeout=_CLOSE_S,
            max_size=_MOST_BYTES,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        failure = Failure(
            STATUS_KINDS.get(status, _K.SERVER_ERROR), f"the WebSocket was refused ({status})", status
        )
    except ssl.SSLError as error:
        failure = Failure(_K.TLS, tls_detail(error))
    except (InvalidProxy, ProxyError, ImportError) as error:
        failure = Failure(
            _K.UNREACHABLE, f"the proxy did not let the WebSocket through ({type(error).__name__})"
        )
    except (InvalidURI, InvalidHandshake, WebSocketException, EOFError) as error:
        failure = Failure(_K.NOT_A_SERVER, f"no WebSocket answers here ({type(error).__name__})")
    except TimeoutError:
        failure = Failure(_K.UNREACHABLE, "no answer")
    except OSError as error:
        failure = Failure(_K.UNREACHABLE, str(error))
    else:
        return WebSocket(connection)
    # Outside of the handlers: the foreign error holds the address and headers.
    raise TransferError(failure)


def _proxy(way: Way, host: str) -> str | Literal[True] | None:
    """Return what the library wants to know: an address, True for the system's, None for no proxy."""
    if way.proxy == NO_PROXY or (way.proxy == SYSTEM_PROXY and is_loopback(host)):
        return None
    if way.proxy == SYSTEM_PROXY:
        return True
    parts = urlsplit(way.proxy)
    user, at, place = parts.netloc.rpartition("@")
    if not at:
        return way.proxy
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(way.proxy_password, safe='')}@{place}"))


def _closed(error: ConnectionClosed) -> SocketClosedError:
    frame = error.rcvd
    return SocketClosedError(frame.code, frame.reason) if frame else SocketClosedError(1006, "")
