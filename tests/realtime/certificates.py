"""A certificate authority that lives as long as a test run, and certificates of it for servers on this machine."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
THIS_MACHINE = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))
ELSEWHERE = (x509.DNSName("runcast.example.org"),)
_NO_USE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)


class Secured(NamedTuple):
    """The files of one server: its certificate and its key, and the authority's certificate."""

    tls_cert: Path
    tls_key: Path
    authority: Path

    @property
    def settings(self) -> dict[str, Path]:
        """What the server is told."""
        return {"tls_cert": self.tls_cert, "tls_key": self.tls_key}

    def trust(self) -> ssl.SSLContext:
        """How a client trusts the authority, and nobody else."""
        return ssl.create_default_context(cafile=self.authority)


def secure(folder: Path, names: tuple[x509.GeneralName, ...] = THIS_MACHINE, valid: timedelta = DAY) -> Secured:
    """A certificate for a server of these names that is valid for so long, in new files in ``folder``.

    A negative time makes one that has expired.
    """
    key = new_key()
    authority_key, authority = _authority()
    usage = x509.KeyUsage(**{**_NO_USE, "digital_signature": True})
    certificate = (
        _begin("server", key, authority.subject, datetime.now(UTC) + valid)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    files = Secured(folder / "cert.pem", folder / "key.pem", folder / "authority.pem")
    files.tls_cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.tls_key.write_bytes(key_pem(key))
    files.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    return files


def new_key() -> EllipticCurvePrivateKey:
    """A private key that nobody else has."""
    return generate_private_key(SECP256R1())


def key_pem(key: EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """The private key as PEM, encrypted where there is a passphrase."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@cache
def _authority() -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    key = new_key()
    usage = x509.KeyUsage(**{**_NO_USE, "key_cert_sign": True, "crl_sign": True})
    certificate = (
        _begin("authority", key, _name("authority"), datetime.now(UTC) + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, SHA256())
    )
    return key, certificate


def _begin(subject: str, key: EllipticCurvePrivateKey, issuer: x509.Name, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 10 * DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Runcast test {text}")])
