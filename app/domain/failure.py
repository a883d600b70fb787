"""Failures are values: a kind, whom it concerns, and whether trying again can help. Words live in app/words.py."""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a transfer did not go on."""

    # the file
    FILE_GONE = "file_gone"
    FILE_UNREADABLE = "file_unreadable"
    FILE_CHANGED = "file_changed"
    FILE_NOT_REGULAR = "file_not_regular"
    NAME_REFUSED = "name_refused"
    TOO_LARGE = "too_large"
    TOO_MANY_FILES = "too_many_files"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    REFUSED = "refused"
    REMOTE_GONE = "remote_gone"
    CONFLICT = "conflict"
    PROCESSING_FAILED = "processing_failed"
    UNCERTAIN = "uncertain"
    """Nobody can know whether it arrived, so only a person may send it again."""
    # the server
    UNREACHABLE = "unreachable"
    CONNECTION_LOST = "connection_lost"
    STALLED = "stalled"
    BUSY = "busy"
    SERVER_ERROR = "server_error"
    DISK_FULL = "disk_full"
    SIGN_IN = "sign_in"
    FORBIDDEN = "forbidden"
    NOT_A_SERVER = "not_a_server"
    TLS = "tls"
    # ourselves
    INTERNAL = "internal"


class Scope(StrEnum):
    """Who waits: this file alone, or every transfer to the same server."""

    FILE = "file"
    SERVER = "server"


WRONG_SIGN_IN = "the user name or the password is wrong"
"""The detail of a SIGN_IN where a name and a password were just refused; a sign-in that ran out has another, or none."""

_K = FailureKind
_SERVER_WIDE = frozenset(
    {_K.UNREACHABLE, _K.BUSY, _K.DISK_FULL, _K.SIGN_IN, _K.FORBIDDEN, _K.NOT_A_SERVER, _K.TLS}
)
_RETRYABLE = frozenset(
    {
        _K.UNREACHABLE,
        _K.CONNECTION_LOST,
        _K.STALLED,
        _K.BUSY,
        _K.SERVER_ERROR,
        _K.DISK_FULL,
        _K.CONFLICT,
        _K.NOT_A_SERVER,  # a captive portal, or another network, answers in the server's place
        _K.TLS,  # the same, over https
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of one attempt.

    ``detail`` is the server's or the system's own short text (never a secret), ``http_status`` its number if there was
    one, ``retry_after_s`` what the server asked us to wait, in seconds, ``limit_bytes`` the size limit it named.
    """

    kind: FailureKind
    detail: str = ""
    http_status: int | None = None
    retry_after_s: float | None = None
    limit_bytes: int | None = None

    @property
    def scope(self) -> Scope:
        """Whether other transfers to the same server must wait as well."""
        return Scope.SERVER if self.kind in _SERVER_WIDE else Scope.FILE

    @property
    def is_wrong_password(self) -> bool:
        """Whether a name and a password were just refused, and not a sign-in that has run out."""
        return self.kind is _K.SIGN_IN and self.detail == WRONG_SIGN_IN

    @property
    def retryable(self) -> bool:
        """Whether the engine tries again by itself."""
        return self.kind in _RETRYABLE


class TransferError(Exception):
    """Carries a :class:`Failure` from the edge (file system, HTTP) up to the worker that records it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.detail}")
        self.failure = failure


class CancelledElsewhereError(Exception):
    """The server says that this file or its batch was cancelled, by somebody else or by another program."""


class RemoteGoneError(Exception):
    """The server no longer knows the partial upload (expired or removed); the transfer starts from zero."""
