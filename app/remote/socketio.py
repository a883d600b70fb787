"""Listens to a socket.io server: Engine.IO 4 over one WebSocket, the default namespace, events only.

server ── 0{"pingInterval"…} ──► client ── 40 ──► server ── 40{"sid"} ──►  42["name", payload]…   2 (ping) ◄──► 3 (pong)

Source: the Engine.IO and Socket.IO protocols, version 4 and 5. A whole client library would bring an HTTP client of its own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.domain.failure import TransferError
from app.remote.websocket import SocketClosedError, WebSocket

PATH = "/socket.io/?EIO=4&transport=websocket"
_DELAYS_S = (1.0, 5.0, 30.0, 120.0)

Open = Callable[[], Awaitable[WebSocket]]
OnEvent = Callable[[str, object], None]
"""Hears the name of an event and its payload."""


async def listen(open_socket: Open, on_event: OnEvent) -> None:
    """Hear events until cancelled; connect again when the socket falls, less and less often while it does not stay."""
    failures = 0
    while True:
        with suppress(TransferError, SocketClosedError):
            async with await open_socket() as socket:
                while True:
                    packet = await socket.receive()
                    if isinstance(packet, str) and await _answered(socket, packet, on_event):
                        failures = 0
        await asyncio.sleep(_DELAYS_S[min(failures, len(_DELAYS_S) - 1)])
        failures += 1


async def _answered(socket: WebSocket, packet: str, on_event: OnEvent) -> bool:
    """See to one packet; return whether it was an event. A refusal (44) ends the socket."""
    if packet.startswith("0"):
        await socket.send("40")
    elif packet == "2":
        await socket.send("3")
    elif packet.startswith("44"):
        raise SocketClosedError(1008, "refused")
    elif packet.startswith("42"):
        with suppress(ValueError, RecursionError):
            told = json.loads(packet[2:])
            if isinstance(told, list) and told and isinstance(told[0], str):
                on_event(told[0], told[1] if len(told) > 1 else None)
        return True
    return False
