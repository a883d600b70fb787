"""Listens to a socket.io server: Engine.IO 4 over one WebSocket, the default namespace, events only.

server ── 0{"pingInterval"…} ──► client ── 40 ──► server ── 40{"sid"} ──►  42["name", payload]…   2 (ping) ◄──► 3 (pong)
                                                     └── 44{"message"}: it does not let us in     41, 1: it has closed

Source: the Engine.IO and Socket.IO protocols, version 4 and 5. A whole client library would bring an HTTP client of its own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from app.domain.failure import TransferError
from app.remote.websocket import SocketClosedError, WebSocket

PATH = "/socket.io/?EIO=4&transport=websocket"
DELAYS_S = (1.0, 5.0, 30.0, 120.0)
"""Before it is tried again, after so many sockets in a row of which none let us in."""
_POLICY = 1008
_CLOSED = 1000

Open = Callable[[], Awaitable[WebSocket]]
OnEvent = Callable[[str, object], None]
"""Hears the name of an event and its payload."""


async def listen(open_socket: Open, on_event: OnEvent, delays_s: Sequence[float] = DELAYS_S) -> None:
    """Hear events until cancelled; connect again when the socket falls, less and less often where nobody lets us in."""
    failures = 0
    while True:
        with suppress(TransferError, SocketClosedError):
            async with await open_socket() as socket:
                while True:
                    packet = await socket.receive()
                    if isinstance(packet, str) and await _is_in(socket, packet, on_event):
                        failures = 0
        await asyncio.sleep(delays_s[min(failures, len(delays_s) - 1)])
        failures += 1


async def _is_in(socket: WebSocket, packet: str, on_event: OnEvent) -> bool:
    """See to one packet; return whether it says that we are let in. Raises SocketClosedError where we are sent away."""
    if packet.startswith("0"):
        await socket.send("40")
    elif packet == "2":
        await socket.send("3")
    elif packet.startswith("44"):
        raise SocketClosedError(_POLICY, "refused")
    elif packet.startswith("41") or packet == "1":
        raise SocketClosedError(_CLOSED, "disconnected")
    elif packet.startswith("42"):
        _hear(packet[2:], on_event)
    return packet.startswith(("40", "42"))


def _hear(text: str, on_event: OnEvent) -> None:
    with suppress(ValueError, RecursionError):
        told = json.loads(text)
        if isinstance(told, list) and told and isinstance(told[0], str):
            on_event(told[0], told[1] if len(told) > 1 else None)
