"""A host that speaks TLS by a certificate of a CA of its own, renewed as the test wants."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from bonafide.django.documents.served_chain import pin_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "localhost"


class TlsHost:
    """One host, its CA, and the key that it shows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self.ca = _certificate("CA of the tests", self._ca_key, self._ca_key, "CA of the tests", ca=True)
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(self.ca.public_bytes(Encoding.PEM))
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.days = 60.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def pin(self) -> str:
        return pin_of(self.key.public_key())

    @property
    def ca_pin(self) -> str:
        return pin_of(self._ca_key.public_key())

    def spare(self, name: str = "spare.pem") -> tuple[Path, str]:
        """Make a key in reserve, and return a file with its public half, and its pin."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self.directory / name
        path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return path, pin_of(key.public_key())

    @contextlib.contextmanager
    def serving(self) -> Iterator[TlsHost]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._context().wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(1)

    def _context(self) -> ssl.SSLContext:
        certificate = _certificate(HOST, self.key, self._ca_key, "CA of the tests", days=self.days)
        chain = self.directory / "served.pem"
        chain.write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    issuer_name: str,
    *,
    ca: bool = False,
    days: float = 365.0,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer, hashes.SHA256())
