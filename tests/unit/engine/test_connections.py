"""Connections are lent, kept while they are well, and closed when they broke."""

import asyncio
from contextlib import nullcontext

import pytest

from app.domain.failure import Failure, FailureKind, TransferError
from app.engine.connections import Connections
from tests.support.memory_server import MemoryServer


async def use(connections: Connections, error: BaseException | None = None) -> None:
    with pytest.raises(type(error)) if error else nullcontext():
        async with connections.borrow("p"):
            if error is not None:
                raise error


async def test_a_connection_is_used_again() -> None:
    server = MemoryServer()
    connections = Connections(server.connect)
    for _ in range(5):
        await use(connections)
    assert server.connections_open == 1


async def test_two_users_at_once_have_one_each() -> None:
    server = MemoryServer()
    connections = Connections(server.connect)
    async with connections.borrow("p"), connections.borrow("p"):
        assert server.connections_open == 2


@pytest.mark.parametrize(
    "error, left",
    [
        (TransferError(Failure(FailureKind.TOO_LARGE)), 1),
        (TransferError(Failure(FailureKind.CONNECTION_LOST)), 0),
        (TransferError(Failure(FailureKind.UNREACHABLE)), 0),
        (TransferError(Failure(FailureKind.SIGN_IN)), 0),
        (asyncio.CancelledError(), 0),
    ],
)
async def test_what_broke_is_closed_and_what_did_not_is_kept(error: BaseException, left: int) -> None:
    server = MemoryServer()
    connections = Connections(server.connect)
    await use(connections, error)
    assert server.connections_open == left


async def test_all_are_closed_at_the_end() -> None:
    server = MemoryServer()
    connections = Connections(server.connect)
    await use(connections)
    await connections.aclose()
    assert server.connections_open == 0


async def test_a_forgotten_connection_that_is_lent_is_closed_on_its_return() -> None:
    server = MemoryServer()
    connections = Connections(server.connect)
    async with connections.borrow("p"):
        await connections.forget("p")
        while_lent = server.connections_open
    assert (while_lent, server.connections_open) == (1, 0)
