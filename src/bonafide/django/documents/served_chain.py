"""Which keys a host shows in TLS, and which key a file of the operator's holds: what pins are made of.

A pin is SHA-256 of a SubjectPublicKeyInfo in DER (RFC 7469 section 2.4), in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from bonafide.documents.pins import HOST, PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

HTTPS_PORT: Final = 443
ANSWER_S: Final = 10.0
MAX_FILE_BYTES: Final = 64 * 1024

_DIGEST_OCTETS: Final = 32
_PREFIXES: Final = ("sha256/", "sha256:", "pin-sha256=")


class ChainUnavailable(Exception):
    """The host did not show a chain that this machine trusts, or a file holds no key. The text is for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A key of a chain: its pin, whose certificate it is in, and when that ends."""

    pin: str
    subject: str
    ends_at: datetime


def place_of(url: str) -> tuple[str, int]:
    """Return host and port of `https://host[:port]`, or of `host[:port]` alone. Raises `ChainUnavailable`."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        host, port = (parts.hostname or "").rstrip("."), parts.port or HTTPS_PORT
    except ValueError:
        host, port = "", 0
    if parts.scheme not in {"", "https"} or parts.username is not None or HOST.fullmatch(host) is None:
        message = f"{url}: https://host or host:port is wanted"
        raise ChainUnavailable(message)
    return host, port


def fetch(host: str, port: int, *, ca_file: Path | None = None) -> tuple[ShownKey, ...]:
    """Return the keys that a host shows, its own first, then those of its issuers up to a root that is trusted here.

    Proves: the chain is valid for the host, by the roots of this machine or those of `ca_file` alone. Not proven: that
    other clients are shown the same chain. Raises `ChainUnavailable`.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        with (
            socket.create_connection((host, port), timeout=ANSWER_S) as connection,
            context.wrap_socket(connection, server_hostname=host) as wrapped,
        ):
            # Public from Python 3.13 on, as `get_verified_chain`.
            chain = wrapped._sslobj.get_verified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
            certificates = [x509.load_pem_x509_certificate(each.public_bytes().encode("ascii")) for each in chain]
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = f"{host}:{port}: {getattr(error, 'verify_message', '') or error.strerror or type(error).__name__}"  # type: ignore[union-attr]  # ValueError has none
        raise ChainUnavailable(message) from None
    return tuple(_shown(certificate) for certificate in certificates)


def read_spare(text: str, read: Callable[[str], bytes]) -> str:
    """Return the pin of a key in reserve: a digest as it stands, or a file with a key, a request or a certificate.

    `read` returns a file's octets. Raises `ChainUnavailable`.
    """
    digest = _digest(text)
    if digest is not None:
        return digest
    try:
        octets = read(text)
    except OSError as error:
        message = f"{text}: neither a pin nor a file: {error.strerror}"
        raise ChainUnavailable(message) from None
    if len(octets) <= MAX_FILE_BYTES:
        for parse in _READERS:
            try:
                return pin_of(parse(octets))
            except (ValueError, TypeError):  # TypeError: a private key under a passphrase
                continue
    message = f"{text}: no public key, request, certificate, or private key without a passphrase"
    raise ChainUnavailable(message)


def pin_of(key: PublicKeyTypes) -> str:
    """Return SHA-256 of the key's SubjectPublicKeyInfo, in base64."""
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(info).digest()).decode("ascii")


def _shown(certificate: x509.Certificate) -> ShownKey:
    return ShownKey(
        pin=pin_of(certificate.public_key()),
        subject=certificate.subject.rfc4514_string()[:255],
        ends_at=certificate.not_valid_after_utc,
    )


def _digest(text: str) -> str | None:
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    text = text.strip('"')
    if PIN.fullmatch(text):
        return text
    try:
        octets = bytes.fromhex(text)
    except (ValueError, binascii.Error):
        return None
    return base64.b64encode(octets).decode("ascii") if len(octets) == _DIGEST_OCTETS else None


_READERS: Final[tuple[Callable[[bytes], PublicKeyTypes], ...]] = (
    load_pem_public_key,
    lambda octets: x509.load_pem_x509_certificate(octets).public_key(),
    lambda octets: x509.load_pem_x509_csr(octets).public_key(),
    lambda octets: load_pem_private_key(octets, None).public_key(),
    load_der_public_key,
    lambda octets: x509.load_der_x509_certificate(octets).public_key(),
    lambda octets: x509.load_der_x509_csr(octets).public_key(),
    lambda octets: load_der_private_key(octets, None).public_key(),
)
