"""Every dialect by its name: the one place to add a kind of server."""

from collections.abc import Callable, Mapping

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.base import Endpoint, RemoteServer
from app.remote.http import Http
from app.remote.tus import TusServer
from app.remote.uphaul import UphaulServer

UPHAUL = "uphaul"
TUS = "tus"

DIALECTS: Mapping[str, Callable[[Http], RemoteServer]] = {
    UPHAUL: UphaulServer,
    # The address of a plain tus server is that of its creation resource; a slash at the end is part of it.
    TUS: lambda http: TusServer(http, http.whole_path),
}


async def connect(dialect: str, endpoint: Endpoint, *, read_timeout_s: float = 60.0) -> RemoteServer:
    """Return a connection for one worker, which closes it. Nothing is sent yet.

    *read_timeout_s* is how long an answer may take. Raises TransferError for an address or dialect that cannot be.
    """
    make = DIALECTS.get(dialect)
    if make is None:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, f"no server speaks “{dialect}”"))
    return make(Http(endpoint.url, endpoint.token, read_timeout_s=read_timeout_s))
