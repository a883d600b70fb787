"""TLS as a person's computer trusts it: the system's store, and what the profile adds."""

import functools
import os
import ssl
import sys
from collections.abc import Callable

import truststore

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import Way

_NO_STORE = "this computer has no certificates to know servers by: install ca-certificates, or name a CA file"
_UNKNOWN_ISSUER = frozenset({2, 19, 20, 21})
"""OpenSSL's codes (X509_V_ERR_…) for a chain that ends at nobody it knows."""
_STORES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where truststore looks when OpenSSL's own places are empty."""


def context_for(way: Way) -> ssl.SSLContext:
    """Return the context for an https or wss connection; made once for each set of files.

    Raises TransferError(TLS), naming the file, where a CA or certificate file of the profile cannot be used.
    """
    return _context(way.ca_file, way.client_cert_file, way.client_key_file)


@functools.cache
def _context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _use(ca_file, context.load_verify_locations)
    # A key with a passphrase would ask at the terminal, where perhaps nobody is: an empty one makes it an error.
    _use(cert_file, lambda path: context.load_cert_chain(path, key_file or None, password=""))
    return context


@functools.cache
def no_tls() -> ssl.SSLContext:
    """For plain http: trusts nobody, and spares the reading of certificates that are never needed."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_detail(error: ssl.SSLError) -> str:
    """Return what went wrong, in OpenSSL's words, or in ours where those would mislead."""
    if getattr(error, "verify_code", 0) in _UNKNOWN_ISSUER and not has_system_store():
        return _NO_STORE
    return getattr(error, "verify_message", "") or error.reason or "the TLS handshake failed"


def has_system_store() -> bool:
    """Whether the system trusts anybody: in a bare container it does not."""
    if sys.platform in ("win32", "darwin"):
        return True
    paths = ssl.get_default_verify_paths()
    files = [
        path for path in (paths.cafile, *_STORES) if path and os.path.isfile(path) and os.path.getsize(path)
    ]
    return bool(files) or bool(paths.capath and os.path.isdir(paths.capath) and os.listdir(paths.capath))


def _use(path: str, load: Callable[[str], None]) -> None:
    if not path:
        return
    try:
        load(path)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) if not isinstance(error, ssl.SSLError) else None
        raise TransferError(
            Failure(FailureKind.TLS, f"{path}: {reason or 'it is no certificate that can be used'}")
        ) from None
