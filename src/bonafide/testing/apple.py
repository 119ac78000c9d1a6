"""A fake Apple: a root, an intermediate and leaf certificates, byte-shaped like the real ones.

Everything comes from a seed: the same seed makes the same keys, certificates and signatures, octet for
octet. The names are Apple's, so that nothing tells the two worlds apart but the keys. Its anchor is test
trust: a production configuration that names it does not start (`bonafide.trust.require_bundled`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bonafide.trust import Anchor

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT_NAME: Final = "Apple App Attestation Root CA"
INTERMEDIATE_NAME: Final = "Apple App Attestation CA 1"

NONCE_OID: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.2")
KEY_USE_OID: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.5")
ACCESS_OID: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.6")
OS_OID: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.7")
APP_ATTEST_USAGE: Final = x509.ObjectIdentifier("1.2.840.113635.100.4.24")

LAUNCH_EXTENSIONS_FROM: Final = 27
"""The iOS that began to append the extension map, and to use the leaf extensions that go with it."""

_BUILD_NUMBER_FROM: Final = 17
_PLATFORM_FROM: Final = 18
_YEAR_NUMBERS_FROM: Final = 26

_CA_USAGE: Final = ("key_cert_sign", "crl_sign")
_LEAF_USAGE: Final = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")


def derive_key(seed: bytes, label: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    """Return the private key that `seed` and `label` stand for. For tests only: seeds are not secrets."""
    digest = hashlib.shake_256(b"bonafide.testing" + b"\x00" + seed + b"\x00" + label.encode()).digest(64)
    return ec.derive_private_key(int.from_bytes(digest) % (_ORDER_FLOOR - 1) + 1, curve)


_ORDER_FLOOR: Final = 2**255
"""Below the order of P-256 and of P-384 alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateForm:
    """How a certificate is filled in; the defaults are those of Apple's certificates.

    Vectors change one field at a time. `extensions` are Apple's own, in order, as (OID, DER).
    """

    subject: tuple[tuple[x509.ObjectIdentifier, str], ...]
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    authority: bool | None = False
    path_length: int | None = None
    key_usage: tuple[str, ...] | None = _LEAF_USAGE
    extended_key_usage: x509.ObjectIdentifier | None = None
    extensions: tuple[tuple[x509.ObjectIdentifier, bytes], ...] = ()
    critical_extensions: tuple[tuple[x509.ObjectIdentifier, bytes], ...] = ()
    signature_hash: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 = field(default_factory=hashes.SHA256)


def apple_name(common_name: str, *, unit: str | None = None) -> tuple[tuple[x509.ObjectIdentifier, str], ...]:
    """Return a distinguished name in Apple's order: CN, OU, O, ST."""
    units = () if unit is None else ((NameOID.ORGANIZATIONAL_UNIT_NAME, unit),)
    return (
        (NameOID.COMMON_NAME, common_name),
        *units,
        (NameOID.ORGANIZATION_NAME, "Apple Inc."),
        (NameOID.STATE_OR_PROVINCE_NAME, "California"),
    )


def sign_certificate(
    form: CertificateForm, public_key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey
) -> bytes:
    """Return the certificate as DER, signed with deterministic ECDSA (RFC 6979)."""
    builder = x509.CertificateBuilder(
        issuer_name=_name(apple_name(form.issuer)),
        subject_name=_name(form.subject),
        public_key=public_key,
        serial_number=form.serial,
        not_valid_before=form.not_before,
        not_valid_after=form.not_after,
    )
    for value, critical in _extensions(form, public_key, signer.public_key()):
        builder = builder.add_extension(value, critical=critical)
    certificate = builder.sign(signer, form.signature_hash, ecdsa_deterministic=True)
    return certificate.public_bytes(serialization.Encoding.DER)


def _extensions(
    form: CertificateForm, public_key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if form.authority is not None:
        extensions.append((x509.BasicConstraints(ca=form.authority, path_length=form.path_length), True))
    if form.authority:
        if public_key != signer:
            extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False))
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(public_key), False))
    if form.key_usage is not None:
        extensions.append((_key_usage(form.key_usage), True))
    if form.extended_key_usage is not None:
        extensions.append((x509.ExtendedKeyUsage([form.extended_key_usage]), False))
    extensions += [(x509.UnrecognizedExtension(oid, der), False) for oid, der in form.extensions]
    extensions += [(x509.UnrecognizedExtension(oid, der), True) for oid, der in form.critical_extensions]
    return extensions


_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _key_usage(names: Sequence[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _KEY_USAGES})


def _name(parts: Sequence[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def major(ios: str) -> int:
    """Return the major number of an iOS version such as "17.2.1"."""
    return int(ios.split(".", maxsplit=1)[0])


def leaf_extensions(*, nonce: bytes, app_id: str, ios: str) -> tuple[tuple[x509.ObjectIdentifier, bytes], ...]:
    """Return Apple's own extensions of a leaf, in the order and form that this iOS gets them in."""
    access = ((ACCESS_OID, _ACCESS_CONDITIONS),) if major(ios) >= LAUNCH_EXTENSIONS_FROM else ()
    return (
        (KEY_USE_OID, _key_use(app_id, ios)),
        (OS_OID, _os_information(ios)),
        (NONCE_OID, nonce_der(nonce)),
        *access,
    )


def nonce_der(nonce: bytes) -> bytes:
    """Return the nonce extension: SEQUENCE { [1] EXPLICIT OCTET STRING }."""
    return tlv(0x30, tlv(0xA1, tlv(0x04, nonce)))


def tlv(tag: int | bytes, content: bytes) -> bytes:
    """Return DER of this tag and content, of at most 65,535 octets."""
    octets = tag if isinstance(tag, bytes) else bytes([tag])
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - X.690 section 8.1.3
        return octets + bytes([size]) + content
    if size < 0x100:  # noqa: PLR2004 - likewise
        return octets + bytes([0x81, size]) + content
    return octets + b"\x82" + size.to_bytes(2) + content


def tagged(number: int, content: bytes) -> bytes:
    """Return DER of a context-specific, constructed tag of the long form with two octets of number."""
    return tlv(bytes([0xBF, 0x80 | number >> 7, number & 0x7F]), content)


def _integer(value: int) -> bytes:
    return tlv(0x02, bytes([value]))


def _key_use(app_id: str, ios: str) -> bytes:
    """What the key may do, and for which app; the numbers are those of real leaves."""
    parts = [tlv(0xA4, _integer(10)), *(tagged(number, _integer(1)) for number in (1200, 1201, 1202, 1203))]
    parts.append(tagged(1204, tlv(0x04, app_id.encode())))
    if major(ios) < LAUNCH_EXTENSIONS_FROM:
        parts.append(tlv(0xA5, tlv(0x04, b"sks ")))
    parts += [tagged(1206, _integer(5)), *(tagged(number, _integer(0)) for number in (1207, 1209, 1210))]
    if major(ios) >= _BUILD_NUMBER_FROM:
        parts.append(tagged(1211, _integer(0)))
    if major(ios) >= LAUNCH_EXTENSIONS_FROM:
        parts.append(tlv(0xAA, _integer(0)))
    return tlv(0x30, b"".join(parts))


def _os_information(ios: str) -> bytes:
    """The OS version under [1400]; later versions of iOS say more around it."""
    version = tlv(0x04, ios.encode())
    parts = [tagged(1400, version)]
    if major(ios) >= _BUILD_NUMBER_FROM:
        build = tlv(0x04, b"%dA1" % (major(ios) - 3 if major(ios) >= _YEAR_NUMBERS_FROM else major(ios) + 4))
        parts += [tagged(1104, _integer(2)), tagged(1403, build), tagged(1405, version), tagged(1406, _integer(0))]
    if major(ios) >= _PLATFORM_FROM:
        parts += [tagged(number, _integer(0)) for number in range(1407, 1412)]
        parts += [tagged(1026, tlv(0x04, b"iphoneos"))]
    return tlv(0x30, b"".join(parts))


_ACCESS_CONDITIONS: Final = bytes.fromhex(
    "3049a347044530430c023131303d300a0c036f6b64a1030101ff30090c026f61a1030101ff"
    "300b0c046f73676ea1030101ff300b0c046f64656ca1030101ff300a0c036f636ba1030101ff"
)
"""Extension .8.6 as Apple's published sample of iOS 27 has it."""


class FakeApple:
    """The issuing side of a look-alike App Attest service.

    `anchors` is what a verifier of the test world trusts. The forms can be changed with
    `dataclasses.replace` before they are issued, to make chains that must be refused.
    """

    def __init__(self, seed: bytes = b"apple") -> None:
        """Make the authorities that `seed` stands for."""
        self.root_key = derive_key(seed, "root", ec.SECP384R1())
        self.intermediate_key = derive_key(seed, "intermediate", ec.SECP384R1())
        self.root_der = sign_certificate(self.root_form(), self.root_key.public_key(), self.root_key)
        self.intermediate_der = self.issue_intermediate(self.intermediate_form())
        self.anchor = Anchor.from_certificate(self.root_der, name="Fake Apple", source="bonafide.testing")

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """The one anchor of this world."""
        return (self.anchor,)

    def root_form(self) -> CertificateForm:
        """Return the root as Apple filled it in, one minute younger."""
        return CertificateForm(
            subject=apple_name(ROOT_NAME),
            issuer=ROOT_NAME,
            serial=0xBF3BE0EF1CDD2E0FB8C6E721F621799,
            not_before=datetime(2020, 3, 18, 18, 33, 53, tzinfo=UTC),
            not_after=datetime(2045, 3, 15, tzinfo=UTC),
            authority=True,
            key_usage=_CA_USAGE,
            signature_hash=hashes.SHA384(),
        )

    def intermediate_form(self) -> CertificateForm:
        """Return the intermediate as Apple filled it in, one minute younger."""
        return CertificateForm(
            subject=apple_name(INTERMEDIATE_NAME),
            issuer=ROOT_NAME,
            serial=0x9BAC5E1BC401AD9D45395BC381A0855,
            not_before=datetime(2020, 3, 18, 18, 40, 55, tzinfo=UTC),
            not_after=datetime(2030, 3, 13, tzinfo=UTC),
            authority=True,
            path_length=0,
            key_usage=_CA_USAGE,
            signature_hash=hashes.SHA384(),
        )

    def leaf_form(self, *, key_id: bytes, nonce: bytes, app_id: str, ios: str, now: datetime) -> CertificateForm:
        """Return a leaf as Apple fills it in for this iOS: valid for three days from a day before `now`."""
        begin = now.replace(microsecond=0) - timedelta(days=1)
        return CertificateForm(
            subject=apple_name(key_id.hex(), unit="AAA Certification"),
            issuer=INTERMEDIATE_NAME,
            serial=int(now.timestamp() * 1000),
            not_before=begin,
            not_after=begin + timedelta(days=3),
            extended_key_usage=APP_ATTEST_USAGE if major(ios) >= LAUNCH_EXTENSIONS_FROM else None,
            extensions=leaf_extensions(nonce=nonce, app_id=app_id, ios=ios),
        )

    def issue_intermediate(
        self,
        form: CertificateForm,
        *,
        public_key: ec.EllipticCurvePublicKey | None = None,
        signer: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """Return an intermediate certificate, by default for this world's key and under its root."""
        return sign_certificate(form, public_key or self.intermediate_key.public_key(), signer or self.root_key)

    def issue_leaf(
        self,
        form: CertificateForm,
        public_key: ec.EllipticCurvePublicKey,
        *,
        signer: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """Return a leaf certificate, by default under this world's intermediate."""
        return sign_certificate(form, public_key, signer or self.intermediate_key)
