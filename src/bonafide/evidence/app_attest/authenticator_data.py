"""Authenticator data as App Attest writes it, which is not quite as WebAuthn reads it.

WebAuthn Level 2 section 6.1 with Apple's deviations, seen on real devices: iOS 27 appends an extension
map with the ED flag set by some builds and clear in others; assertions set AT without attested
credential data. So the flags do not say what follows. The rule is: after the fixed fields stands
nothing, or exactly one bounded CBOR map; nothing else. Other flag bits decide nothing and are covered
by the nonce or the signature like every octet here.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import cbor
from bonafide.errors import MalformedEvidence
from bonafide.reasons import app_assertion, app_attest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.reasons import Reason

ATTESTED: Final = 0x40
EXTENDED: Final = 0x80

RP_ID_HASH: Final = slice(0, 32)
FLAGS: Final = 32
COUNTER: Final = slice(33, 37)
FIXED_BYTES: Final = 37
AAGUID: Final = slice(37, 53)
CREDENTIAL_ID_LENGTH: Final = slice(53, 55)
CREDENTIAL_ID: Final = slice(55, 87)
KEY_AT: Final = 87

MAX_EXTENSION_BYTES: Final = 1024
MAX_BUNDLE_VERSION: Final = 128
MAX_CODE_DIRECTORY_HASH: Final = 64

_COORDINATE_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchExtensions:
    """What the OS says of the running app; every part is None where it says nothing (iOS up to 26).

    `code_directory_hash` comes from macOS 27 builds (20 or 32 octets, `code_directory_hash_type` 2 for
    SHA-256); Apple does not document it, so it is carried where it has that form and never refused.
    """

    bundle_version: str | None = None
    validation_category: int | None = None
    code_directory_hash: bytes | None = None
    code_directory_hash_type: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return the parts in JSON types, the hash in base64."""
        code = self.code_directory_hash
        return {
            "bundle_version": self.bundle_version,
            "validation_category": self.validation_category,
            "code_directory_hash": None if code is None else base64.b64encode(code).decode("ascii"),
            "code_directory_hash_type": self.code_directory_hash_type,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedData:
    """The authenticator data of an attestation, parsed; nothing in it is proven."""

    rp_id_hash: bytes
    counter: int
    aaguid: bytes
    credential_id: bytes
    public_key: bytes
    launch: LaunchExtensions


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedData:
    """The authenticator data of an assertion, parsed; nothing in it is proven."""

    rp_id_hash: bytes
    counter: int
    launch: LaunchExtensions


def hash_rp_id(app_id: str) -> bytes:
    """Return what stands in place of a WebAuthn RP ID hash: SHA-256 of "TEAMID.bundle-id".

    A text that is no Unicode text, as a shell can hand one over, has a digest that no device sends.
    """
    return hashlib.sha256(app_id.encode(errors="surrogatepass")).digest()


def parse_attested(data: bytes) -> AttestedData:
    """Split the authenticator data of an attestation.

    Raises `MalformedEvidence`: `app_attest.auth_data_malformed`, `.cose_key_malformed`, `.extensions_malformed`.
    """
    if len(data) < KEY_AT:
        raise MalformedEvidence(app_attest.AUTH_DATA_MALFORMED, f"{len(data)} octets")
    if not data[FLAGS] & ATTESTED:
        raise MalformedEvidence(app_attest.AUTH_DATA_MALFORMED, "the AT flag is clear")
    if int.from_bytes(data[CREDENTIAL_ID_LENGTH]) != CREDENTIAL_ID.stop - CREDENTIAL_ID.start:
        raise MalformedEvidence(app_attest.AUTH_DATA_MALFORMED, "the credential id is not 32 octets")
    public_key, length = _parse_cose_key(data[KEY_AT:])
    return AttestedData(
        rp_id_hash=data[RP_ID_HASH],
        counter=int.from_bytes(data[COUNTER]),
        aaguid=data[AAGUID],
        credential_id=data[CREDENTIAL_ID],
        public_key=public_key,
        launch=_parse_launch(data[KEY_AT + length :], flags=data[FLAGS], reason=app_attest.EXTENSIONS_MALFORMED),
    )


def parse_asserted(data: bytes) -> AssertedData:
    """Split the authenticator data of an assertion.

    Raises `MalformedEvidence`: `app_assertion.auth_data_malformed`, `.extensions_malformed`.
    """
    if len(data) < FIXED_BYTES:
        raise MalformedEvidence(app_assertion.AUTH_DATA_MALFORMED, f"{len(data)} octets")
    return AssertedData(
        rp_id_hash=data[RP_ID_HASH],
        counter=int.from_bytes(data[COUNTER]),
        launch=_parse_launch(data[FIXED_BYTES:], flags=data[FLAGS], reason=app_assertion.EXTENSIONS_MALFORMED),
    )


# RFC 9053 section 7.1.1: kty EC2, alg ES256, crv P-256; x and y follow under -2 and -3.
_COSE_FIXED: Final = {1: 2, 3: -7, -1: 1}


def _parse_cose_key(data: bytes) -> tuple[bytes, int]:
    """Return the key as X9.63 and the octets it took. That it is a point is proven by comparing it with the leaf's."""
    try:
        key, length = cbor.parse_first(data)
    except MalformedEvidence as malformed:
        raise MalformedEvidence(app_attest.COSE_KEY_MALFORMED, malformed.reason.code) from None
    if not isinstance(key, dict) or key.keys() != {1, 3, -1, -2, -3}:
        raise MalformedEvidence(app_attest.COSE_KEY_MALFORMED, "not exactly kty, alg, crv, x and y")
    if any(type(key[label]) is not int or key[label] != value for label, value in _COSE_FIXED.items()):
        raise MalformedEvidence(app_attest.COSE_KEY_MALFORMED, "not EC2, ES256, P-256")
    x, y = key[-2], key[-3]
    if not (isinstance(x, bytes) and isinstance(y, bytes) and len(x) == len(y) == _COORDINATE_BYTES):
        raise MalformedEvidence(app_attest.COSE_KEY_MALFORMED, "x or y is not 32 octets")
    return b"\x04" + x + y, length


def _parse_launch(data: bytes, *, flags: int, reason: Reason) -> LaunchExtensions:
    if not data:
        if flags & EXTENDED:
            raise MalformedEvidence(reason, "the ED flag is set and nothing follows")
        return LaunchExtensions()
    try:
        entries = cbor.parse(data, max_bytes=MAX_EXTENSION_BYTES)
    except MalformedEvidence as malformed:
        raise MalformedEvidence(reason, malformed.reason.code) from None
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise MalformedEvidence(reason, "not a map from text")
    code, kind = _read_code_directory_hash(entries)
    return LaunchExtensions(
        bundle_version=_read_bundle_version(entries, reason),
        validation_category=_read_validation_category(entries, reason),
        code_directory_hash=code,
        code_directory_hash_type=kind,
    )


def _read_bundle_version(entries: Mapping[str, object], reason: Reason) -> str | None:
    if "apple_bundle_version_01" not in entries:
        return None
    version = entries["apple_bundle_version_01"]
    if not isinstance(version, str) or len(version) > MAX_BUNDLE_VERSION:
        raise MalformedEvidence(reason, "apple_bundle_version_01 is not a short text")
    return version


def _read_validation_category(entries: Mapping[str, object], reason: Reason) -> int | None:
    """Read the UInt32 that Apple's article announces, or the four little-endian octets that devices send."""
    if "apple_validation_category_01" not in entries:
        return None
    category = entries["apple_validation_category_01"]
    if isinstance(category, bytes) and len(category) == 4:  # noqa: PLR2004 - a UInt32
        return int.from_bytes(category, "little")
    if type(category) is int and 0 <= category < 2**32:
        return category
    raise MalformedEvidence(reason, "apple_validation_category_01 is not a UInt32")


def _read_code_directory_hash(entries: Mapping[str, object]) -> tuple[bytes | None, int | None]:
    code, kind = entries.get("apple_cd_hash_hash_01"), entries.get("apple_cd_hash_type_01")
    if isinstance(code, bytes) and len(code) <= MAX_CODE_DIRECTORY_HASH and isinstance(kind, bytes) and len(kind) == 1:
        return code, kind[0]
    return None, None
