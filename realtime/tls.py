"""TLS: how the server secures connections, and how commands trust the server that they find through its home."""

from __future__ import annotations

import contextlib
import re
import ssl
from pathlib import Path
from typing import NamedTuple

ALPN = ["h2", "http/1.1"]
"""What a client may speak, ours first. https://www.rfc-editor.org/rfc/rfc7301"""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_OTHER_KEY = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name."""


class UnusableCertificateError(Exception):
    """A server cannot be secured so; the text names the file, and tells nothing that is in it."""


class _Connection(ssl.SSLObject):
    """One connection, which says that it ends and waits for no answer (RFC 8446, 6.1); what was written still leaves.

    Else each peer that does not answer, as connections in a client's pool, is kept for half a minute by asyncio.
    """

    def unwrap(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            super().unwrap()


class ServerTls(NamedTuple):
    """What secures a server, and its certificate as PEM, which is public."""

    context: ssl.SSLContext
    certificate: str


def load_server_tls(certificate: Path, key: Path) -> ServerTls:
    """TLS 1.2 and newer for the holder of that key, HTTP/2 before HTTP/1.1, else as Python would have it.

    ``certificate`` may be followed in its file by those between it and its authority. Nobody is asked for a
    passphrase.

    Raises:
        UnusableCertificateError: a file is missing or cannot be read or used, or the two do not belong together.

    """
    pem = read_certificate(certificate)
    _read("tls_key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.sslobject_class = _Connection
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # RFC 9113, 9.2.1
    context.set_alpn_protocols(ALPN)
    _load(context, certificate, key)
    return ServerTls(context, pem)


def trust_only(certificate: str) -> ssl.SSLContext:
    """Trust for clients in the server with exactly this certificate (PEM), whatever names, dates and issuer it has.

    For who has the certificate from the server itself, by a way that nobody else can write to.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.load_verify_locations(cadata=certificate)
    return context


def read_certificate(path: Path) -> str:
    """The server's certificate, PEM: the first in the file, all of which were found readable.

    Raises:
        UnusableCertificateError: the file is missing, or holds something else.

    """
    found = _CERTIFICATE.search(_read("tls_cert", path))
    try:
        if found is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
            return found[0].decode()
    except (ssl.SSLError, UnicodeDecodeError):
        pass
    raise UnusableCertificateError(f"tls_cert {path} holds something else than certificates in PEM")


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableCertificateError(f"{name} {path} cannot be read: {error.strerror or error}") from None


class _EncryptedKeyError(Exception):
    """OpenSSL wants a passphrase."""


def _refuse_passphrase() -> str:
    raise _EncryptedKeyError


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, _refuse_passphrase)
    except _EncryptedKeyError:
        reason = f"tls_key {key} is encrypted; expected a private key without a passphrase"
    except ssl.SSLError as error:
        reason = _why_not(error.reason, certificate, key)
    else:
        return
    raise UnusableCertificateError(reason)


def _why_not(reason: str | None, certificate: Path, key: Path) -> str:
    if reason is None:
        return f"tls_key {key} holds something else than a private key in PEM"
    if reason in _OTHER_KEY:
        return f"tls_key {key} is not the key of the certificate in tls_cert {certificate}"
    return f"tls_cert {certificate} cannot be used: {reason.lower().replace('_', ' ')}"
