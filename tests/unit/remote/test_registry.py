"""What the table of dialects says of each is what its connections are."""

import pytest

from app.remote.account import Account, Endpoint
from app.remote.base import ListServer, ParcelServer, TargetServer
from app.remote.probes import PROBES
from app.remote.registry import DIALECTS

SIGNED_IN = Endpoint("http://127.0.0.1:9", "token", "ada", "password")


@pytest.mark.parametrize("name", list(DIALECTS))
async def test_the_table_says_what_the_connections_are(name: str) -> None:
    kind = DIALECTS[name]
    line = kind.open(Account(SIGNED_IN))
    server = line.connect()
    told = (kind.lists_batches, kind.targets, kind.parcel is not None)
    powers = (
        isinstance(server, ListServer),
        isinstance(server, TargetServer),
        isinstance(server, ParcelServer),
    )
    await server.aclose()
    await line.aclose()
    assert told == powers


def test_every_dialect_can_be_found_out() -> None:
    assert {probe.dialect for probe in PROBES} == set(DIALECTS)
