"""Every dialect by its name: the one place to add a kind of server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Account, Endpoint, Line, PlainLine
from app.remote.anytus import AnyTusServer
from app.remote.base import ParcelLimits, RemoteServer
from app.remote.cell_segmentation_hub import PARCEL as HUB_PARCEL
from app.remote.cell_segmentation_hub import open_hub
from app.remote.directdrive import directdrive_line
from app.remote.doorito import DooritoLine
from app.remote.doorito_form import PARCEL as FORM_PARCEL
from app.remote.doorito_form import open_form
from app.remote.http import http_of
from app.remote.uphaul import UphaulLine
from app.remote.vuemantics import PARCEL as VUEMANTICS_PARCEL
from app.remote.vuemantics import VuemanticsLine

CELL_SEGMENTATION_HUB = "cell_segmentation_hub"
DIRECTDRIVE = "directdrive"
DOORITO = "doorito"
DOORITO_FORM = "doorito_form"
UPHAUL = "uphaul"
TUS = "tus"
VUEMANTICS = "vuemantics"


class SignsIn(StrEnum):
    """What a server wants to know of a person."""

    TOKEN = auto()
    PASSWORD = auto()
    PASSWORD_OR_TOKEN = auto()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server. ``parcel`` is set where many files go in one request; ``targets`` where it has projects.

    ``may_be_anonymous``: it also takes files of nobody. ``lists_batches``: its connections are a ListServer.
    """

    name: str
    title: str
    signs_in: SignsIn
    open: Callable[[Account], Line]
    parcel: ParcelLimits | None = None
    targets: bool = False
    may_be_anonymous: bool = False
    lists_batches: bool = False


def _tus(account: Account) -> Line:
    return PlainLine(lambda: AnyTusServer(http_of(account, account.given_token())))


DIALECTS: Mapping[str, Dialect] = {
    each.name: each
    for each in (
        Dialect(UPHAUL, "Uphaul", SignsIn.TOKEN, UphaulLine, lists_batches=True),
        Dialect(
            CELL_SEGMENTATION_HUB,
            "Cell Segmentation Hub",
            SignsIn.PASSWORD,
            open_hub,
            HUB_PARCEL,
            targets=True,
        ),
        Dialect(DIRECTDRIVE, "DirectDrive", SignsIn.PASSWORD, directdrive_line, may_be_anonymous=True),
        Dialect(DOORITO, "Doorito", SignsIn.TOKEN, DooritoLine, lists_batches=True),
        Dialect(DOORITO_FORM, "Doorito (form)", SignsIn.PASSWORD, open_form, FORM_PARCEL),
        Dialect(TUS, "tus", SignsIn.TOKEN, _tus, may_be_anonymous=True),
        Dialect(
            VUEMANTICS,
            "vuemantics",
            SignsIn.PASSWORD,
            VuemanticsLine,
            VUEMANTICS_PARCEL,
            lists_batches=True,
        ),
    )
}


def dialect(name: str) -> Dialect:
    """Return a dialect by its name. Raises TransferError."""
    found = DIALECTS.get(name)
    if found is None:
        raise TransferError(Failure(FailureKind.NOT_A_SERVER, f"no server speaks “{name}”"))
    return found


def connect(name: str, endpoint: Endpoint) -> RemoteServer:
    """Return one connection that shares nothing with others; for a look, and for tests. Raises TransferError."""
    return dialect(name).open(Account(endpoint)).connect()
