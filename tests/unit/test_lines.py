"""What the connections of an account share lives as long as one of them, and no longer."""

import asyncio

from app.lines import Lines
from app.remote.account import Endpoint
from app.remote.base import RemoteServer
from tests.support.memory_server import MemoryServer

OLD, NEW = Endpoint("https://lab.example", "old"), Endpoint("https://lab.example", "new")


class Counted:
    """A line over a server in memory, that tells whether it was closed."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.closed = 0
        self.server = MemoryServer()

    def connect(self) -> RemoteServer:
        self.server.connections_open += 1
        return self.server.connections(self.server)

    async def aclose(self) -> None:
        self.closed += 1


class House:
    """Lines, and those that were opened."""

    def __init__(self) -> None:
        self.opened: list[Counted] = []
        self.lines = Lines(self._open)

    def _open(self, _profile_id: str, _dialect: str, endpoint: Endpoint) -> Counted:
        self.opened.append(Counted(endpoint))
        return self.opened[-1]

    def closed(self) -> list[int]:
        return [line.closed for line in self.opened]


async def test_the_connections_of_an_account_share_one_line() -> None:
    house = House()
    for _ in range(3):
        await house.lines.connect("lab", "tus", OLD)
    await house.lines.connect("office", "tus", OLD)
    assert len(house.opened) == 2


async def test_with_another_secret_there_is_another_line_and_the_unused_old_one_is_closed() -> None:
    house = House()
    await house.lines.disconnect(await house.lines.connect("lab", "tus", OLD))
    await house.lines.connect("lab", "tus", NEW)
    assert ([line.endpoint for line in house.opened], house.closed()) == ([OLD, NEW], [1, 0])


async def test_an_old_line_is_not_closed_under_a_connection_that_still_sends() -> None:
    house = House()
    first = await house.lines.connect("lab", "tus", OLD)
    second = await house.lines.connect("lab", "tus", OLD)
    await house.lines.connect("lab", "tus", NEW)
    while_both_send = house.closed()
    await house.lines.disconnect(first)
    while_one_sends = house.closed()
    await house.lines.disconnect(second)
    assert (while_both_send, while_one_sends, house.closed()) == ([0, 0], [0, 0], [1, 0])


async def test_a_dropped_line_is_made_anew() -> None:
    house = House()
    await house.lines.disconnect(await house.lines.connect("lab", "tus", OLD))
    await house.lines.drop("lab")
    await house.lines.drop("lab")
    await house.lines.connect("lab", "tus", OLD)
    assert house.closed() == [1, 0]


async def test_two_workers_that_connect_at_once_get_the_same_line() -> None:
    house = House()
    await asyncio.gather(*(house.lines.connect("lab", "tus", OLD) for _ in range(5)))
    assert len(house.opened) == 1


async def test_at_the_end_all_are_closed_once() -> None:
    house = House()
    await house.lines.connect("lab", "tus", OLD)
    await house.lines.connect("lab", "tus", NEW)
    await house.lines.aclose()
    assert house.closed() == [1, 1]
