"""The vectors of `app_attest`, in the order in which the checks are made."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import NONCE_OID, OS_OID, apple_name, derive_key, sign_certificate, tagged, tlv
from bonafide.testing.secure_enclave import AAGUIDS, launch_extensions, x963
from bonafide.testing.vectors import Vector, encode
from tests.vectors.attestation_world import APP_ID, APPLE, LOOK_ALIKE, NOW, Forge, reform, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bonafide.testing.apple import CertificateForm

KEY_AT: Final = 87
KEY_BYTES: Final = 77
VERSION: Final = "apple_bundle_version_01"
CATEGORY: Final = "apple_validation_category_01"


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    yield from _good()
    yield from _objects()
    yield from _certificates()
    yield from _auth_data()
    yield from _cose_keys()
    yield from _extensions()
    yield from _bindings()
    yield from _leaf_profiles()
    yield from _intermediate_profiles()
    yield from _chains()
    yield from _times()


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
    flags.auth_data = _replace(32, bytes([0x45]))
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


def _certificates() -> Iterator[Vector]:
    chains: dict[str, tuple[str, Callable[[list[bytes]], list[bytes]]]] = {
        "certificate_leaf_truncated": ("The leaf lacks its last octet", lambda c: [c[0][:-1], c[1]]),
        "certificate_leaf_trailing": ("An octet follows the leaf", lambda c: [c[0] + b"\x00", c[1]]),
        "certificate_intermediate_truncated": ("The intermediate lacks an octet", lambda c: [c[0], c[1][:-1]]),
    }
    for name, (comment, change) in chains.items():
        forge = Forge()
        forge.chain = change  # type: ignore[assignment]  # of octets, like every good chain
        yield vector(name, comment, forge, expect="app_attest.certificate_malformed")
    for name, key in (("ed25519", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()),):
        other = Forge()
        other.leaf_key = key  # type: ignore[assignment]  # the wrong kind is the point
        expect = "app_attest.certificate_malformed"
        yield vector(f"certificate_leaf_{name}", "The leaf has another kind of key", other, expect=expect)


def _auth_data() -> Iterator[Vector]:
    changes: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "auth_data_short": ("86 octets: all before the key but one", lambda data: data[: KEY_AT - 1]),
        "auth_data_at_clear": ("The AT flag is clear", _replace(32, b"\x00")),
        "auth_data_credential_id_short": ("The credential id is said to have 31 octets", _replace(53, b"\x00\x1f")),
        "auth_data_credential_id_long": ("The credential id is said to have 288 octets", _replace(53, b"\x01\x20")),
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
        yield _changed(name, comment, _replace_key(encoded), expect="app_attest.cose_key_malformed")


def _replace_key(encoded: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:KEY_AT] + encoded + (data[KEY_AT + KEY_BYTES :] if encoded else b"")


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
    nothing.auth_data = _replace(32, b"\xc0")
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
        _replace(33, (1).to_bytes(4)),
        expect="app_attest.counter_not_zero",
    )
    yield _changed(
        "aaguid_zero", "Step 8: an AAGUID of zeros", _replace(37, bytes(16)), expect="app_attest.aaguid_unknown"
    )
    yield _changed(
        "environment_development",
        "Step 8: from the development service",
        _replace(37, AAGUIDS[EvidenceEnvironment.DEVELOPMENT]),
        expect="app_attest.environment_refused",
    )
    for name, environments in (("production", ["development"]), ("none", [])):
        comment = "Step 8: from an environment that this caller does not admit"
        expect = "app_attest.environment_refused"
        yield vector(f"environment_{name}", comment, Forge(), expect=expect, environments=environments)
    yield _changed(
        "credential_id_other",
        "Step 9: another credential id",
        _replace(55, other),
        expect="app_attest.credential_id_mismatch",
    )
    strange = x963(derive_key(b"strange", "key", ec.SECP256R1()).public_key())
    encoded = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: strange[1:33], -3: strange[33:]})
    comment = "authData states a key that is not the leaf's"
    yield _changed("cose_key_other", comment, _replace_key(encoded), expect="app_attest.cose_key_mismatch")


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


def _leaf_profiles() -> Iterator[Vector]:
    critical = ((x509.ObjectIdentifier("1.2.840.113635.100.8.99"), b"\x05\x00"),)
    changes: dict[str, tuple[str, dict[str, object]]] = {
        "leaf_authority": ("The leaf is marked as an authority", {"authority": True}),
        "leaf_constraints_missing": ("The leaf has no basic constraints", {"authority": None}),
        "leaf_usage_missing": ("The leaf has no key usage", {"key_usage": None}),
        "leaf_usage_no_signature": ("The leaf's key may not sign", {"key_usage": ("data_encipherment",)}),
        "leaf_usage_cert_sign": (
            "The leaf's key may sign certificates",
            {"key_usage": ("digital_signature", "key_cert_sign")},
        ),
        "leaf_critical": ("The leaf has a critical extension that nobody knows", {"critical_extensions": critical}),
        "leaf_sha512": ("The leaf is signed with SHA-512", {"signature_hash": hashes.SHA512()}),
    }
    for name, (comment, change) in changes.items():
        forge = Forge()
        forge.form = reform(**change)
        yield vector(name, f"Step 1: {comment}", forge, expect="app_attest.certificate_profile")
    yield _leaf_on_another_curve()


def _leaf_on_another_curve() -> Vector:
    """The same length of key on secp256k1, so that everything before the chain compares equal."""
    forge = Forge()
    forge.leaf_key = derive_key(b"vectors", "leaf", ec.SECP256K1()).public_key()
    point = x963(forge.leaf_key)
    forge.key_id = hashlib.sha256(point).digest()
    key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
    forge.auth_data = lambda data: _replace_key(key)(_replace(55, forge.key_id)(data))
    return vector("leaf_secp256k1", "Step 1: the leaf's curve", forge, expect="app_attest.certificate_profile")


def _intermediate_profiles() -> Iterator[Vector]:
    changes: dict[str, tuple[str, dict[str, object]]] = {
        "intermediate_end_entity": ("It is no authority", {"authority": False, "path_length": None}),
        "intermediate_constraints_missing": ("It has no basic constraints", {"authority": None}),
        "intermediate_path_length_missing": ("It may have authorities below it", {"path_length": None}),
        "intermediate_path_length_one": ("It may have an authority below it", {"path_length": 1}),
        "intermediate_usage_missing": ("It has no key usage", {"key_usage": None}),
        "intermediate_usage_crl": ("Its key may not sign certificates", {"key_usage": ("crl_sign",)}),
        "intermediate_sha512": ("It is signed with SHA-512", {"signature_hash": hashes.SHA512()}),
    }
    for name, (comment, change) in changes.items():
        forge = Forge()
        forge.intermediate = APPLE.issue_intermediate(reform(**change)(APPLE.intermediate_form()))
        yield vector(name, f"Step 1, intermediate: {comment}", forge, expect="app_attest.certificate_profile")
    forge = Forge()
    forge.leaf_signer = derive_key(b"vectors", "p-256 authority", ec.SECP256R1())
    forge.intermediate = APPLE.issue_intermediate(APPLE.intermediate_form(), public_key=forge.leaf_signer.public_key())
    yield vector("intermediate_p256", "Step 1, intermediate: its curve", forge, expect="app_attest.certificate_profile")


def _chains() -> Iterator[Vector]:
    issuer = Forge()
    issuer.form = reform(issuer="Apple App Attestation CA 2")
    yield vector("issuer_other", "Step 1: the leaf names another issuer", issuer, expect="app_attest.issuer_mismatch")
    stranger = sign_certificate(
        reform(subject=apple_name("Apple WebAuthn Root CA"), issuer="Apple WebAuthn Root CA")(APPLE.root_form()),
        APPLE.root_key.public_key(),
        APPLE.root_key,
    )
    comment = "Step 1: the anchor has the right key and another name"
    yield vector("root_name", comment, Forge(), expect="app_attest.root_unknown", anchors=[stranger])
    yield vector("root_none", "Step 1: no anchor", Forge(), expect="app_attest.root_unknown", anchors=[])
    expect = "app_attest.intermediate_signature_invalid"
    anchors = [LOOK_ALIKE.root_der]
    comment = "Step 1: the anchor has the right name and another key"
    yield vector("root_look_alike", comment, Forge(), expect=expect, anchors=anchors)
    forged = Forge()
    forged.intermediate = LOOK_ALIKE.intermediate_der
    forged.leaf_signer = LOOK_ALIKE.intermediate_key
    yield vector("root_look_alike_chain", "Step 1: a whole chain under a look-alike root", forged, expect=expect)
    renamed = Forge()
    renamed.intermediate = APPLE.intermediate_der.replace(b"Attestation CA 1", b"Attestation CA 2")
    renamed.form = reform(issuer="Apple App Attestation CA 2")
    comment = "Step 1: the intermediate renamed, and a leaf that names it so"
    yield vector("intermediate_renamed", comment, renamed, expect=expect)
    stolen = Forge()
    stolen.leaf_signer = LOOK_ALIKE.intermediate_key
    comment = "Step 1: the genuine intermediate, and a leaf that it did not sign"
    yield vector("leaf_signature", comment, stolen, expect="app_attest.leaf_signature_invalid")
    below = Forge()
    below.intermediate = APPLE.root_der
    comment = "Step 1: the root in place of the intermediate"
    yield vector("chain_root_as_intermediate", comment, below, expect="app_attest.certificate_profile")


def _times() -> Iterator[Vector]:
    second = timedelta(seconds=1)
    early, late = "app_attest.certificate_not_yet_valid", "app_attest.certificate_expired"
    now = NOW - timedelta(days=1) - second
    yield vector("leaf_early", "Step 1: a second before the leaf begins", Forge(), expect=early, now=now)
    now = NOW + timedelta(days=2) + second
    yield vector("leaf_late", "Step 1: a second after the leaf has ended", Forge(), expect=late, now=now)
    for name, comment, expect, change in (
        ("early", "begins a second later", early, {"not_before": NOW + second}),
        ("late", "ended a second ago", late, {"not_after": NOW - second}),
    ):
        forge = Forge()
        forge.intermediate = APPLE.issue_intermediate(reform(**change)(APPLE.intermediate_form()))
        yield vector(f"intermediate_{name}", f"Step 1: the intermediate {comment}", forge, expect=expect)
        root = sign_certificate(reform(**change)(APPLE.root_form()), APPLE.root_key.public_key(), APPLE.root_key)
        yield vector(f"anchor_{name}", f"Step 1: the anchor {comment}", Forge(), expect=expect, anchors=[root])
    forge = Forge()
    forge.now = datetime(2046, 1, 1, tzinfo=UTC)
    yield vector("chain_2046", "Step 1: a fresh leaf when intermediate and root have ended", forge, expect=late)


def _changed(name: str, comment: str, change: Callable[[bytes], bytes], *, expect: str) -> Vector:
    """Change the authenticator data before Apple sees it."""
    forge = Forge()
    forge.auth_data = change
    return vector(name, comment, forge, expect=expect)


def _with_tail(tail: bytes) -> Forge:
    forge = Forge()
    forge.auth_data = lambda data: data[: KEY_AT + KEY_BYTES] + tail
    return forge


def _replace(at: int, octets: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + octets + data[at + len(octets) :]


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
