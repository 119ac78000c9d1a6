"""The vectors of `app_attest`, in the order in which the checks are made."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import NONCE_OID, OS_OID, derive_key, tagged, tlv
from bonafide.testing.secure_enclave import AAGUIDS, launch_extensions, x963
from bonafide.testing.vectors import Vector, encode
from tests.vectors import attestation_chains
from tests.vectors.attestation_world import (
    APP_ID,
    APPLE,
    KEY_AT,
    KEY_BYTES,
    LOOK_ALIKE,
    NOW,
    Forge,
    reform,
    replace_key,
    replace_octets,
    vector,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cryptography import x509

    from bonafide.testing.apple import CertificateForm

VERSION: Final = "apple_bundle_version_01"
CATEGORY: Final = "apple_validation_category_01"


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    yield from _good()
    yield from _objects()
    yield from _auth_data()
    yield from _cose_keys()
    yield from _extensions()
    yield from _bindings()
    yield from attestation_chains.build()


def _good() -> Iterator[Vector]:
    for ios in ("14.0.1", "17.2.1", "18.0", "26.1", "27.0"):
        yield vector(f"good_ios_{ios.replace('.', '_')}", f"iOS {ios}, production", Forge(ios=ios))
    yield vector("good_ios_27_0_ed_set", "iOS 27.0 that sets the ED flag before its map", Forge(ed_flag=True))
    development = Forge()
    development.phone.environment = EvidenceEnvironment.DEVELOPMENT
    yield vector(
        "good_development",
        "From Apple's development service, which this caller admits",
        development,
        environments=["production", "development"],
    )
    raw = Forge()
    raw.client_data_hash = b"example_server_challenge"
    yield vector("good_raw_challenge", "24 octets where a digest is usual, as in Apple's samples", raw)
    known = {VERSION: "1", CATEGORY: bytes([4, 0, 0, 0])}
    maps: dict[str, tuple[Mapping[str, object], str, Mapping[str, object]]] = {
        "good_category_uint": ({VERSION: "1", CATEGORY: 4}, "The category as the UInt32 of Apple's article", {}),
        "good_category_ten": ({VERSION: "1", CATEGORY: b"\x0a\x00\x00\x00"}, "Other", {"validation_category": 10}),
        "good_category_only": ({CATEGORY: bytes([4, 0, 0, 0])}, "No bundle version", {"bundle_version": None}),
        "good_empty_map": ({}, "A map without entries", {"bundle_version": None, "validation_category": None}),
        "good_unknown_entry": (known | {"apple_next_01": [True, None]}, "An entry of some later iOS", {}),
        "good_code_directory_hash": (
            known | {"apple_cd_hash_hash_01": bytes(range(32)), "apple_cd_hash_type_01": b"\x02"},
            "The code directory hash of macOS 27 builds",
            {"code_directory_hash": encode(bytes(range(32))), "code_directory_hash_type": 2},
        ),
        "good_code_directory_hash_other": (
            known | {"apple_cd_hash_hash_01": "text", "apple_cd_hash_type_01": b"\x02"},
            "An undocumented entry in another form is left out, not refused",
            {},
        ),
    }
    for name, (entries, comment, claims) in maps.items():
        yield vector(name, comment, _with_tail(launch_extensions(entries)), claims=claims)
    flags = Forge()
    flags.auth_data = replace_octets(32, bytes([0x45]))
    yield vector("good_other_flags", "Other flag bits decide nothing", flags)
    yield from _good_certificates()


def _good_certificates() -> Iterator[Vector]:
    silent = {"os_version": None, "os_build": None, "os_platform": None}
    absent = Forge()
    absent.form = _without(OS_OID)
    yield vector("good_os_absent", "No extension .8.7", absent, claims=silent)
    unreadable = Forge()
    unreadable.form = _extension(OS_OID, b"\x04\x00")
    yield vector("good_os_unreadable", "An extension .8.7 in another form says nothing", unreadable, claims=silent)
    twice = Forge()
    twice.form = _extension(OS_OID, tlv(0x30, 2 * tagged(1400, tlv(0x04, b"27.0")) + tagged(1403, tlv(0x04, b"24A1"))))
    yield vector(
        "good_os_version_twice", "A member that comes twice says nothing", twice, claims=silent | {"os_build": "24A1"}
    )
    yield vector("good_first_second", "The first second of the leaf", Forge(), now=NOW - timedelta(days=1))
    yield vector("good_last_second", "The last second of the leaf", Forge(), now=NOW + timedelta(days=2))
    two = (LOOK_ALIKE.root_der, APPLE.root_der)
    yield vector("good_two_anchors", "The right anchor is the second of one name", Forge(), anchors=two)


def _objects() -> Iterator[Vector]:
    changes: dict[str, tuple[str, str, str, object]] = {
        "object_array": ("envelope", "app_attest.object_malformed", "An array", list),
        "object_member_missing": ("envelope", "app_attest.object_malformed", "No authData", _drop("authData")),
        "object_member_added": ("envelope", "app_attest.object_malformed", "A fourth member", _add("x", 1)),
        "object_auth_data_text": ("envelope", "app_attest.object_malformed", "authData is text", _add("authData", "")),
        "format_packed": ("envelope", "app_attest.format_mismatch", "Another format", _add("fmt", "packed")),
        "statement_array": ("statement", "app_attest.object_malformed", "attStmt is an array", list),
        "statement_receipt_missing": ("statement", "app_attest.object_malformed", "No receipt", _drop("receipt")),
        "statement_member_added": ("statement", "app_attest.object_malformed", "A third member", _add("alg", -7)),
        "statement_receipt_text": ("statement", "app_attest.object_malformed", "receipt is text", _add("receipt", "")),
        "chain_text": ("chain", "app_attest.chain_length", "x5c is text", lambda _chain: "leaf"),
        "chain_one": ("chain", "app_attest.chain_length", "Only the leaf", lambda chain: chain[:1]),
        "chain_three": ("chain", "app_attest.chain_length", "The root as well", lambda c: [*c, APPLE.root_der]),
        "chain_of_text": (
            "chain",
            "app_attest.chain_length",
            "A text in x5c",
            lambda chain: [chain[0], "intermediate"],
        ),
        "cbor_truncated": ("encoded", "cbor.malformed", "The last octet is missing", lambda data: data[:-1]),
        "cbor_trailing": ("encoded", "cbor.trailing_data", "An octet follows", lambda data: data + b"\x00"),
        "cbor_tagged": ("encoded", "cbor.type_refused", "The object under tag 55799", lambda d: b"\xd9\xd9\xf7" + d),
        "cbor_too_large": ("envelope", "cbor.too_large", "64 KiB more", _add("x", bytes(65536))),
    }
    for name, (place, expect, comment, change) in changes.items():
        forge = Forge()
        setattr(forge, place, change)
        yield vector(name, comment, forge, expect=expect)


def _auth_data() -> Iterator[Vector]:
    changes: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "auth_data_short": ("86 octets: all before the key but one", lambda data: data[: KEY_AT - 1]),
        "auth_data_at_clear": ("The AT flag is clear", replace_octets(32, b"\x00")),
        "auth_data_credential_id_short": (
            "The credential id is said to have 31 octets",
            replace_octets(53, b"\x00\x1f"),
        ),
        "auth_data_credential_id_long": (
            "The credential id is said to have 288 octets",
            replace_octets(53, b"\x01\x20"),
        ),
    }
    for name, (comment, change) in changes.items():
        yield _changed(name, comment, change, expect="app_attest.auth_data_malformed")


def _cose_keys() -> Iterator[Vector]:
    public_key = Forge().phone.public_key(Forge().key)
    good = {1: 2, 3: -7, -1: 1, -2: public_key[1:33], -3: public_key[33:]}
    keys: dict[str, tuple[str, bytes]] = {
        "cose_key_truncated": ("Nothing follows the credential id", b""),
        "cose_key_text": ("A text in its place", cbor2.dumps("key")),
        "cose_key_member_missing": ("No alg", cbor2.dumps({k: v for k, v in good.items() if k != 3})),
        "cose_key_member_added": ("A key id in it", cbor2.dumps(good | {2: b"id"})),
        "cose_key_okp": ("kty OKP", cbor2.dumps(good | {1: 1})),
        "cose_key_es384": ("alg ES384", cbor2.dumps(good | {3: -35})),
        "cose_key_p384": ("crv P-384", cbor2.dumps(good | {-1: 2})),
        "cose_key_crv_true": ("crv true, which some languages take for 1", cbor2.dumps(good | {-1: True})),
        "cose_key_label_true": (
            "A label true, which some languages take for 1",
            cbor2.dumps({True: 2} | {k: v for k, v in good.items() if k != 1}),
        ),
        "cose_key_x_short": ("x of 31 octets", cbor2.dumps(good | {-2: public_key[1:32]})),
        "cose_key_y_long": ("y of 33 octets", cbor2.dumps(good | {-3: public_key[33:] + bytes(1)})),
        "cose_key_y_sign": ("y as a sign bit", cbor2.dumps(good | {-3: True})),
    }
    for name, (comment, encoded) in keys.items():
        yield _changed(name, comment, replace_key(encoded), expect="app_attest.cose_key_malformed")


def _extensions() -> Iterator[Vector]:
    good = launch_extensions({VERSION: "1", CATEGORY: bytes([4, 0, 0, 0])})
    tails: dict[str, tuple[str, bytes]] = {
        "extensions_octets": ("Octets that are not CBOR", b"\xff\xff"),
        "extensions_zero": ("One zero octet, which is CBOR for 0", b"\x00"),
        "extensions_array": ("An array", cbor2.dumps([VERSION, "1"])),
        "extensions_two": ("A second map", good + b"\xa0"),
        "extensions_truncated": ("The map lacks its last octet", good[:-1]),
        "extensions_indefinite": ("A map of indefinite length", b"\xbf\xff"),
        "extensions_key_int": ("A key that is a number", cbor2.dumps({1: "1"})),
        "extensions_repeated": ("An entry twice", b"\xa2" + 2 * cbor2.dumps({VERSION: "1"})[1:]),
        "extensions_large": ("More than 1,024 octets", cbor2.dumps({"x": bytes(1024)})),
        "extensions_version_number": ("The bundle version is a number", cbor2.dumps({VERSION: 1})),
        "extensions_version_null": ("The bundle version is null", cbor2.dumps({VERSION: None})),
        "extensions_version_long": ("A bundle version of 129 characters", cbor2.dumps({VERSION: "1" * 129})),
        "extensions_category_short": ("The category in 3 octets", cbor2.dumps({CATEGORY: bytes([4, 0, 0])})),
        "extensions_category_long": ("The category in 5 octets", cbor2.dumps({CATEGORY: bytes([4, 0, 0, 0, 0])})),
        "extensions_category_text": ("The category is text", cbor2.dumps({CATEGORY: "4"})),
        "extensions_category_true": ("The category is true", cbor2.dumps({CATEGORY: True})),
        "extensions_category_null": ("The category is null", cbor2.dumps({CATEGORY: None})),
        "extensions_category_negative": ("The category is -1", cbor2.dumps({CATEGORY: -1})),
        "extensions_category_large": ("The category is 2^32", cbor2.dumps({CATEGORY: 2**32})),
    }
    for name, (comment, tail) in tails.items():
        yield vector(name, comment, _with_tail(tail), expect="app_attest.extensions_malformed")
    nothing = Forge(ios="26.1")
    nothing.auth_data = replace_octets(32, b"\xc0")
    comment = "The ED flag is set and nothing follows the key"
    yield vector("extensions_announced", comment, nothing, expect="app_attest.extensions_malformed")


def _bindings() -> Iterator[Vector]:
    absent = Forge()
    absent.form = _without(NONCE_OID)
    yield vector("nonce_missing", "Step 4: no extension .8.2", absent, expect="app_attest.nonce_missing")
    yield from _nonce_forms()
    hashed = encode(hashlib.sha256(Forge().client_data_hash).digest())
    comment = "Steps 2 to 4: the client data hash hashed once more"
    yield vector("nonce_hash", comment, Forge(), expect="app_attest.nonce_mismatch", client_data_hash=hashed)
    edited = Forge()
    edited.envelope = lambda envelope: envelope | {"authData": _flip(envelope["authData"], 33)}
    comment = "Steps 2 to 4: authData edited after Apple saw it"
    yield vector("nonce_auth_data", comment, edited, expect="app_attest.nonce_mismatch")
    other = hashlib.sha256(b"other").digest()
    comment = "Step 5: a key id that is not this key's"
    yield vector("key_id_other", comment, Forge(), expect="app_attest.key_id_mismatch", key_id=encode(other))
    comment = "Step 5: a key id of 31 octets"
    yield vector("key_id_short", comment, Forge(), expect="app_attest.key_id_mismatch", key_id=encode(other[:31]))
    for name, app_id in (
        ("team", "ABCDE12346.com.example.app"),
        ("bundle", APP_ID + ".clip"),
        ("case", APP_ID.replace("com", "Com")),
        ("empty", ""),
    ):
        comment = "Step 6: another App ID"
        yield vector(f"app_id_{name}", comment, Forge(), expect="app_attest.app_id_mismatch", app_id=app_id)
    yield _changed(
        "counter_one",
        "Step 7: the counter is 1",
        replace_octets(33, (1).to_bytes(4)),
        expect="app_attest.counter_not_zero",
    )
    yield _changed(
        "aaguid_zero", "Step 8: an AAGUID of zeros", replace_octets(37, bytes(16)), expect="app_attest.aaguid_unknown"
    )
    yield _changed(
        "environment_development",
        "Step 8: from the development service",
        replace_octets(37, AAGUIDS[EvidenceEnvironment.DEVELOPMENT]),
        expect="app_attest.environment_refused",
    )
    for name, environments in (("production", ["development"]), ("none", [])):
        comment = "Step 8: from an environment that this caller does not admit"
        expect = "app_attest.environment_refused"
        yield vector(f"environment_{name}", comment, Forge(), expect=expect, environments=environments)
    yield _changed(
        "credential_id_other",
        "Step 9: another credential id",
        replace_octets(55, other),
        expect="app_attest.credential_id_mismatch",
    )
    strange = x963(derive_key(b"strange", "key", ec.SECP256R1()).public_key())
    encoded = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: strange[1:33], -3: strange[33:]})
    comment = "authData states a key that is not the leaf's"
    yield _changed("cose_key_other", comment, replace_key(encoded), expect="app_attest.cose_key_mismatch")


def _nonce_forms() -> Iterator[Vector]:
    octets = tlv(0x04, bytes(32))
    for name, comment, encoded, expect in (
        ("implicit", "The nonce under an implicit tag", tlv(0x30, tlv(0x81, bytes(32))), "der.malformed"),
        ("tag_two", "The nonce under [2]", tlv(0x30, tlv(0xA2, octets)), "der.malformed"),
        ("twice", "A second member after the nonce", tlv(0x30, 2 * tlv(0xA1, octets)), "der.malformed"),
        ("trailing", "An octet after the structure", tlv(0x30, tlv(0xA1, octets)) + b"\x00", "der.malformed"),
        ("utf8", "The nonce as text", tlv(0x30, tlv(0xA1, tlv(0x0C, bytes(32)))), "der.malformed"),
        ("long_length", "A length in a longer form than needed", b"\x30\x81\x24" + tlv(0xA1, octets), "der.malformed"),
        ("empty", "No octets", b"", "der.malformed"),
        ("large", "More than 4,096 octets", tlv(0x30, tlv(0xA1, tlv(0x04, bytes(4096)))), "der.too_large"),
        ("short", "A nonce of 31 octets", tlv(0x30, tlv(0xA1, tlv(0x04, bytes(31)))), "app_attest.nonce_mismatch"),
    ):
        forge = Forge()
        forge.form = _extension(NONCE_OID, encoded)
        yield vector(f"nonce_{name}", f"Step 4: {comment[0].lower()}{comment[1:]}", forge, expect=expect)


def _changed(name: str, comment: str, change: Callable[[bytes], bytes], *, expect: str) -> Vector:
    """Change the authenticator data before Apple sees it."""
    forge = Forge()
    forge.auth_data = change
    return vector(name, comment, forge, expect=expect)


def _with_tail(tail: bytes) -> Forge:
    forge = Forge()
    forge.auth_data = lambda data: data[: KEY_AT + KEY_BYTES] + tail
    return forge


def _flip(data: object, at: int) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _drop(member: str) -> Callable[[dict[object, object]], object]:
    return lambda members: {name: value for name, value in members.items() if name != member}


def _add(member: str, value: object) -> Callable[[dict[object, object]], object]:
    return lambda members: members | {member: value}


def _without(oid: x509.ObjectIdentifier) -> Callable[[CertificateForm], CertificateForm]:
    return lambda form: reform(extensions=tuple(pair for pair in form.extensions if pair[0] != oid))(form)


def _extension(oid: x509.ObjectIdentifier, der: bytes) -> Callable[[CertificateForm], CertificateForm]:
    return lambda form: reform(
        extensions=tuple((name, der if name == oid else octets) for name, octets in form.extensions)
    )(form)
