"""Real servers for the demo: gunicorn over TLS on loopback, and the certificates that they show."""

from __future__ import annotations

import http.client
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demonstration.wire import RawRequest, send

EXAMPLE: Final = Path(__file__).resolve().parent.parent
START_S: Final = 30.0
STOP_S: Final = 10.0


class DidNotStart(Exception):
    """A server ended before it served; the text is its log."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority of this run, which the phones trust, and the server's certificate under it."""

    authority: Path
    chain: Path
    key: Path

    def trust(self, *more: Path) -> ssl.SSLContext:
        """Return what a client of this run trusts: this authority, and others, as a phone's owner can add."""
        context = ssl.create_default_context(cafile=str(self.authority))
        for path in more:
            context.load_verify_locations(str(path))
        return context


def make_certificates(directory: Path) -> Certificates:
    """Make an authority and a certificate for 127.0.0.1, both for one day."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name, name = _name("Demo authority"), _name("127.0.0.1")
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_USAGE_OF_AN_AUTHORITY, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    leaf = (
        _builder(name, authority_name, key)
        .add_extension(address, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    made = Certificates(directory / "authority.pem", directory / "server.pem", directory / "server-key.pem")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


_USAGE_OF_AN_AUTHORITY: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True, kw_only=True)
class Server:
    """One gunicorn with one of the example's settings."""

    settings: str
    state: Path
    certificates: Certificates
    workers: int = 1
    port: int = field(default_factory=free_port)
    log: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.log = self.state / f"{self.settings}.log"

    @property
    def authority(self) -> str:
        """What clients write into Host."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """The URL of the API."""
        return f"https://{self.authority}"

    def environment(self) -> dict[str, str]:
        """Return the environment that this server and its management commands run in."""
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": self.settings,
            "SHOP_STATE": str(self.state),
            "SHOP_ORIGIN": self.origin,
            "PYTHONPATH": os.pathsep.join([str(EXAMPLE), str(self.state)]),
        }

    def start(self) -> None:
        """Start in the background; `wait` until it serves."""
        command = [
            *(sys.executable, "-m", "gunicorn", "demonstration.wsgi_with_worker:application"),
            *("--bind", self.authority, "--workers", str(self.workers), "--no-control-socket"),
            *("--certfile", str(self.certificates.chain), "--keyfile", str(self.certificates.key)),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=EXAMPLE, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Return once it answers. Raises `DidNotStart` where it ended instead."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise DidNotStart(self.log.read_text(errors="replace"))
            if self._answers():
                return
            time.sleep(0.05)
        self.stop()
        raise DidNotStart(self.log.read_text(errors="replace"))

    def _answers(self) -> bool:
        """Tell whether a worker answers: the port is open before any worker has read the settings."""
        probe = RawRequest(method="GET", target="/", headers=(("Host", self.authority),))
        try:
            send(probe, port=self.port, trust=self.certificates.trust())
        except (OSError, http.client.HTTPException):
            return False
        return True

    def stop(self) -> None:
        """End it, workers included."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)
        self._process = None

    def manage(self, *arguments: str) -> None:
        """Run a management command under this server's settings; what it warns of goes into the server's log."""
        with self.log.open("ab") as log:
            subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=EXAMPLE,
                env=self.environment(),
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections at this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
