"""What a host shows is read from a real handshake, and a spare from whatever form its key lies in."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bonafide.django.documents.served_chain import (
    MAX_FILE_BYTES,
    ChainUnavailable,
    fetch,
    pin_of,
    place_of,
    read_spare,
)
from tests.django.documents.tls_host import HOST, TlsHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram


@pytest.fixture
def host(tmp_path: Path) -> Iterator[TlsHost]:
    with TlsHost(tmp_path).serving() as serving:
        yield serving


def test_the_keys_of_a_chain_are_its_own_and_its_issuers(host: TlsHost) -> None:
    leaf, issuer = fetch(HOST, host.port, ca_file=host.ca_file)
    assert (leaf.pin, issuer.pin) == (host.pin, host.ca_pin)
    assert (leaf.subject, issuer.subject) == ("CN=localhost", "CN=CA of the tests")
    assert timedelta(days=59) < leaf.ends_at - datetime.now(UTC) <= timedelta(days=60)


def test_a_chain_that_is_not_trusted_here_is_not_pinned(host: TlsHost) -> None:
    with pytest.raises(ChainUnavailable, match=f"{HOST}:{host.port}: .*(issuer|self)"):
        fetch(HOST, host.port)


def test_a_certificate_of_another_host_is_not_pinned(host: TlsHost) -> None:
    with pytest.raises(ChainUnavailable):
        fetch("127.0.0.1", host.port, ca_file=host.ca_file)


def test_a_certificate_that_has_ended_is_not_pinned(host: TlsHost) -> None:
    host.days = -0.5
    with pytest.raises(ChainUnavailable, match="expired"):
        fetch(HOST, host.port, ca_file=host.ca_file)


def test_a_host_that_does_not_answer_is_said(tmp_path: Path) -> None:
    host = TlsHost(tmp_path)
    with host.serving():
        pass
    with pytest.raises(ChainUnavailable, match=str(host.port)):
        fetch(HOST, host.port, ca_file=host.ca_file)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://api.example.com", ("api.example.com", 443)),
        ("https://API.example.com/", ("api.example.com", 443)),
        ("https://api.example.com:8443/x", ("api.example.com", 8443)),
        ("api.example.com:8443", ("api.example.com", 8443)),
        ("api.example.com", ("api.example.com", 443)),
    ],
)
def test_a_url_names_host_and_port(url: str, place: tuple[str, int]) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "https://",
        "",
        "https://a:b@api.example.com",
        "https://a:99999",
        "https://a_b",
        "ftp://a",
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ChainUnavailable):
        place_of(url)


# Spares -------------------------------------------------------------------------------------------


def test_a_pin_is_what_openssl_makes_of_the_key(tmp_path: Path, require_program: RequireProgram) -> None:
    openssl = require_program("openssl", apt="openssl")
    key, der = tmp_path / "key.pem", tmp_path / "key.der"
    subprocess.run([openssl, "genpkey", "-algorithm", "RSA", "-out", key], check=True, capture_output=True)
    subprocess.run([openssl, "pkey", "-in", key, "-pubout", "-outform", "DER", "-out", der], check=True)
    expected = base64.b64encode(hashlib.sha256(der.read_bytes()).digest()).decode()
    assert _read(key.read_bytes()) == _read(der.read_bytes()) == expected


def _read(octets: bytes) -> str:
    return read_spare("file", lambda _: octets)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("private", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_a_spare_is_read_from_every_form_of_its_key(encoding: Encoding, private: ec.EllipticCurvePrivateKey) -> None:
    public = private.public_key()
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "spare")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    for octets in (
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo),
        private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption()),
        request.public_bytes(encoding),
        certificate.public_bytes(encoding),
    ):
        assert _read(octets) == pin_of(public)


def test_a_spare_is_a_digest_as_it_stands() -> None:
    digest = hashlib.sha256(b"spare").digest()
    pin = base64.b64encode(digest).decode()
    for text in (pin, f"sha256/{pin}", f"sha256:{digest.hex()}", f'pin-sha256="{pin}"', digest.hex()):
        assert read_spare(text, lambda _: pytest.fail("no file is meant")) == pin


def test_what_is_neither_a_pin_nor_a_key_is_refused(tmp_path: Path) -> None:
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    for octets in (b"", b"key", locked, b" " * (MAX_FILE_BYTES + 1)):
        with pytest.raises(ChainUnavailable, match="file: no public key"):
            _read(octets)
    for text in ("sha256/AAAA", str(tmp_path / "none"), hashlib.sha256(b"").hexdigest()[2:]):
        with pytest.raises(ChainUnavailable):
            read_spare(text, lambda path: (tmp_path / path).read_bytes())
