"""TLS as a person's computer trusts it: the system's store, and what the profile adds."""

import functools
import ssl
from collections.abc import Callable

import truststore

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Way


@functools.cache
def context_for(way: Way) -> ssl.SSLContext:
    """Return the context for an https or wss connection; made once for each way.

    Raises TransferError(TLS), naming the file, where a CA or certificate file of the profile cannot be used.
    """
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _use(way.ca_file, context.load_verify_locations)
    key_file = way.client_key_file or None
    _use(way.client_cert_file, lambda path: context.load_cert_chain(path, key_file))
    return context


@functools.cache
def no_tls() -> ssl.SSLContext:
    """For plain http: trusts nobody, and spares the reading of certificates that are never needed."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _use(path: str, load: Callable[[str], None]) -> None:
    if not path:
        return
    try:
        load(path)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "it is no certificate that can be used"
        raise TransferError(Failure(FailureKind.TLS, f"{path}: {reason}")) from None
