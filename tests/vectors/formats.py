"""The vectors of `cbor`, `der` and `debug`."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import cbor2

from bonafide.codec import base64url
from bonafide.evidence.debug import DebugSecret, issue_debug_evidence
from bonafide.testing.apple import INTERMEDIATE_NAME, nonce_der, tagged, tlv
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.vectors.attestation_world import APPLE, CLIENT_DATA_HASH, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MAX_BYTES: Final = 4096


def build() -> Iterator[Vector]:
    """Yield every vector of these areas."""
    yield from _cbor()
    yield from _der_nonces()
    yield from _der_texts()
    yield from _der_names()
    yield from _debug()


def _cbor() -> Iterator[Vector]:
    """What is read is told as its shortest encoding. The refused ones are read by some parser or other."""
    every_type = [{1: 2, "a": -1}, True, False, None, b"b", []]
    for name, comment, data, meant in (
        ("good_types", "Every type of the profile", cbor2.dumps(every_type), every_type),
        ("good_integers", "The largest and the smallest", cbor2.dumps([2**64 - 1, -(2**64)]), [2**64 - 1, -(2**64)]),
        ("good_long_length", "A length that is not in its shortest form", b"\x59\x00\x01\xaa", b"\xaa"),
        ("good_long_integer", "1 in 9 octets", b"\x1b" + (1).to_bytes(8), 1),
        ("good_items_1024", "1,024 items with the array around them", cbor2.dumps([0] * 1023), [0] * 1023),
        ("good_depth_16", "16 levels", b"\x81" * 16 + b"\x00", [[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]),
    ):
        given = {"cbor": encode(data), "max_bytes": MAX_BYTES}
        yield _vector(f"cbor/{name}", comment, given, claims={"shortest": encode(cbor2.dumps(meant))})
    for name, comment, octets, code in _BAD_CBOR:
        given = {"cbor": encode(bytes.fromhex(octets)), "max_bytes": MAX_BYTES}
        yield _vector(f"cbor/{name}", comment, given, expect=f"cbor.{code}")
    given = {"cbor": encode(b"\x44" + bytes(4)), "max_bytes": 4}
    yield _vector("cbor/too_large", "One octet more than the caller allows", given, expect="cbor.too_large")


_BAD_CBOR: Final = (
    ("empty", "No octets", "", "malformed"),
    ("truncated", "A byte string that lacks an octet", "42aa", "malformed"),
    ("announced_bytes", "2^63 octets announced, none there", "5b8000000000000000", "malformed"),
    ("announced_text", "2^63 octets of text announced", "7b8000000000000000", "malformed"),
    ("announced_array", "2^63 items announced", "9b8000000000000000", "malformed"),
    ("announced_map", "2^63 entries announced", "bb8000000000000000", "malformed"),
    ("indefinite_bytes", "A byte string in chunks", "5f41aaff", "malformed"),
    ("indefinite_array", "An array of indefinite length", "9f00ff", "malformed"),
    ("indefinite_map", "A map of indefinite length", "bf0000ff", "malformed"),
    ("break", "A break by itself", "ff", "malformed"),
    ("reserved", "A reserved length", "1c", "malformed"),
    ("simple_two_octets", "false in two octets", "f814", "malformed"),
    ("text_not_utf8", "A text that is not UTF-8", "61ff", "malformed"),
    ("text_surrogate", "A text with half a surrogate pair", "63eda080", "malformed"),
    ("key_repeated", "A key twice", "a201000101", "malformed"),
    ("depth_17", "17 levels", "81" * 17 + "00", "malformed"),
    ("items_1025", "1,025 items with the array around them", "990400" + "00" * 1024, "too_many_items"),
    ("trailing", "An octet after the item", "0000", "trailing_data"),
    ("tag_bignum", "A bignum, which many parsers hand out as an integer", "c24101", "type_refused"),
    ("tag_time", "A time", "c100", "type_refused"),
    ("tag_shared", "A shared value", "d81c00", "type_refused"),
    ("tag_self", "Self-described CBOR", "d9d9f700", "type_refused"),
    ("tag_unknown", "A tag that nobody registered", "da7fffffff00", "type_refused"),
    ("tag_within", "A tag deeper in", "a161618181c100", "type_refused"),
    ("tag_key", "A tag in a key", "a1c10000", "type_refused"),
    ("float_half", "A float of 16 bits", "f93c00", "type_refused"),
    ("float_double", "A float of 64 bits", "fb3ff0000000000000", "type_refused"),
    ("undefined", "undefined", "f7", "type_refused"),
    ("simple_unassigned", "An unassigned simple value", "e0", "type_refused"),
    ("key_true", "A key true", "a1f500", "type_refused"),
    ("key_null", "A key null", "a1f600", "type_refused"),
    ("key_bytes", "A key of octets", "a1410000", "type_refused"),
    ("key_array", "A key that is an array", "a18000", "type_refused"),
    ("key_map", "A key that is a map", "a1a000", "type_refused"),
    ("key_float", "A key 1.0", "a1f93c0000", "type_refused"),
)


def _der_nonces() -> Iterator[Vector]:
    nonce = bytes(range(32))
    octets = tlv(0x04, nonce)
    given = {"reader": "nonce", "der": encode(nonce_der(nonce))}
    yield _vector("der/nonce_good", "As in every leaf since iOS 14", given, claims={"nonce": encode(nonce)})
    for name, comment, der, expect in (
        ("set", "A SET for a SEQUENCE", tlv(0x31, tlv(0xA1, octets)), "der.malformed"),
        ("untagged", "Without [1]", tlv(0x30, octets), "der.malformed"),
        ("indefinite", "BER's indefinite length", b"\x30\x80" + tlv(0xA1, octets) + bytes(2), "der.malformed"),
        ("constructed", "An octet string in parts", tlv(0x30, tlv(0xA1, tlv(0x24, octets))), "der.malformed"),
        ("too_large", "4,097 octets", bytes(4097), "der.too_large"),
    ):
        yield _vector(f"der/nonce_{name}", comment, {"reader": "nonce", "der": encode(der)}, expect=expect)


def _der_texts() -> Iterator[Vector]:
    version, build = tagged(1400, tlv(0x04, b"27.0")), tagged(1403, tlv(0x04, b"24A1"))
    both = {"1400": "27.0", "1403": "24A1"}
    for name, comment, content, texts in (
        ("good", "Two members", version + build, both),
        ("order", "In the other order", build + version, both),
        ("other_types", "Members of other types between", version + tagged(1406, b"\x02\x01\x00") + build, both),
        ("empty", "No members", b"", {}),
        ("twice", "A member twice", version + version + build, {"1403": "24A1"}),
        ("not_octets", "A member in another type", version + tagged(1403, tlv(0x0C, b"24A1")), {"1400": "27.0"}),
        ("not_ascii", "Octets that are not ASCII", version + tagged(1403, tlv(0x04, b"\xff")), {"1400": "27.0"}),
        ("control", "A control character", version + tagged(1403, tlv(0x04, b"\x1b[2J")), {"1400": "27.0"}),
        ("low_tags", "Members with short tags beside", tlv(0xA4, b"\x02\x01\x0a") + version + build, both),
    ):
        given = {"reader": "texts", "der": encode(tlv(0x30, content)), "numbers": [1400, 1403]}
        yield _vector(f"der/texts_{name}", comment, given, claims={"texts": texts})
    for name, comment, der in (
        ("octets", "An octet string", tlv(0x04, b"27.0")),
        ("truncated", "The last octet is missing", tlv(0x30, version)[:-1]),
        ("trailing", "An octet follows", tlv(0x30, version) + b"\x00"),
    ):
        given = {"reader": "texts", "der": encode(der), "numbers": [1400, 1403]}
        yield _vector(f"der/texts_{name}", comment, given, expect="der.malformed")


def _der_names() -> Iterator[Vector]:
    good = APPLE.intermediate_der
    names = {"issuer": encode(_name("Apple App Attestation Root CA")), "subject": encode(_name(INTERMEDIATE_NAME))}
    yield _vector("der/names_good", "An intermediate", {"reader": "names", "der": encode(good)}, claims=names)
    not_text = good.replace(tlv(0x0C, INTERMEDIATE_NAME.encode()), tlv(0x03, INTERMEDIATE_NAME.encode()))
    other = names | {"subject": encode(_name(INTERMEDIATE_NAME, string=0x03))}
    comment = "A name that is no text is so many octets"
    yield _vector("der/names_not_text", comment, {"reader": "names", "der": encode(not_text)}, claims=other)
    for name, comment, octets, expect in (
        ("truncated", "The last octet is missing", good[:-1], "der.malformed"),
        ("trailing", "An octet follows", good + b"\x00", "der.malformed"),
        ("version", "No version, which says 1", _without_version(good), "der.malformed"),
        ("too_large", "16,385 octets", bytes(16385), "der.too_large"),
    ):
        yield _vector(f"der/names_{name}", comment, {"reader": "names", "der": encode(octets)}, expect=expect)


def _name(common_name: str, *, string: int = 0x0C) -> bytes:
    """Return a name of Apple's as `SEQUENCE OF SET OF SEQUENCE { OID, string }`, without its length."""
    parts = ((0x03, common_name, string), (0x0A, "Apple Inc.", 0x0C), (0x08, "California", 0x0C))
    return b"\x30" + b"".join(
        tlv(0x31, tlv(0x30, bytes([6, 3, 0x55, 4, kind]) + tlv(tag, text.encode()))) for kind, text, tag in parts
    )


def _without_version(certificate: bytes) -> bytes:
    """Return a certificate without `[0] { INTEGER 2 }`."""
    outer, body = certificate[4:], certificate[8:]
    length = int.from_bytes(outer[2:4])
    return tlv(0x30, tlv(0x30, body[5:length]) + body[length:])


_SECRET: Final = DebugSecret(app="shop", name="ci", secret=hashlib.sha256(b"vectors").digest())


def _debug() -> Iterator[Vector]:
    good = issue_debug_evidence(_SECRET, client_data_hash=CLIENT_DATA_HASH, now=NOW)
    issued = {"app": "shop", "name": "ci", "issued_at": NOW.isoformat(), "environment": "debug"}
    seconds = timedelta(seconds=1)
    for name, comment, now in (
        ("good", "Just made", NOW),
        ("good_oldest", "5 minutes old", NOW + 300 * seconds),
        ("good_ahead", "5 seconds ahead", NOW - 5 * seconds),
    ):
        yield _debug_vector(name, comment, good, now=now, claims=issued)
    yield _debug_vector("not_accepted", "No debug evidence is accepted", good, expect="not_accepted", secrets=None)
    mac = base64url.decode(str(good["mac"]))
    for name, comment, change in (
        ("member_added", "A fifth member", {"device": "x"}),
        ("format_other", "Another format", {"format": "debug2"}),
        ("name_number", "The name is a number", {"name": 1}),
        ("mac_null", "The MAC is null", {"mac": None}),
        ("time_text", "The time is text", {"issued_at": "1764000000"}),
        ("time_true", "The time is true", {"issued_at": True}),
        ("time_negative", "A time before 1970", {"issued_at": -1}),
        ("time_far", "A time in 2242", {"issued_at": 2**33}),
    ):
        yield _debug_vector(name, comment, {**good, **change}, expect="evidence_malformed")
    bare = {member: value for member, value in good.items() if member != "mac"}
    yield _debug_vector("member_missing", "No MAC", bare, expect="evidence_malformed")
    yield _debug_vector("name_unknown", "A name that is not configured", {**good, "name": "ci2"}, expect="name_unknown")
    yield _debug_vector("revoked", "The secret was removed", good, expect="name_unknown", secrets=[])
    yield _debug_vector("app_other", "Another app's evidence", good, expect="name_unknown", app="bank")
    flipped = base64url.encode(bytes([mac[0] ^ 1]) + mac[1:])
    later = {**good, "issued_at": int(NOW.timestamp()) + 1}
    for name, comment, evidence in (
        ("mac_flipped", "One bit of the MAC changed", {**good, "mac": flipped}),
        ("mac_short", "The first half of the MAC", {**good, "mac": base64url.encode(mac[:16])}),
        ("time_moved", "The time moved by a second", later),
    ):
        yield _debug_vector(name, comment, evidence, expect="mac_invalid")
    other = encode(hashlib.sha256(b"other").digest())
    yield _debug_vector("hash_other", "Another request", good, expect="mac_invalid", client_data_hash=other)
    yield _debug_vector("expired", "A second too old", good, expect="expired", now=NOW + 301 * seconds)
    yield _debug_vector("ahead", "A second too far ahead", good, expect="issued_in_future", now=NOW - 6 * seconds)


def _debug_vector(
    name: str,
    comment: str,
    evidence: Mapping[str, object],
    *,
    expect: str = ACCEPT,
    now: datetime = NOW,
    claims: Mapping[str, object] | None = None,
    **differing: object,
) -> Vector:
    given: dict[str, object] = {
        "evidence": evidence,
        "client_data_hash": encode(CLIENT_DATA_HASH),
        "app": "shop",
        "secrets": [{"app": _SECRET.app, "name": _SECRET.name, "secret": encode(_SECRET.secret)}],
        **differing,
    }
    code = expect if expect == ACCEPT else f"debug.{expect}"
    return Vector(name=f"debug/{name}", comment=comment, now=now, input=given, expect=code, claims=claims)


def _vector(
    name: str,
    comment: str,
    given: Mapping[str, object],
    *,
    expect: str = ACCEPT,
    claims: Mapping[str, object] | None = None,
) -> Vector:
    return Vector(name=name, comment=comment, now=None, input=given, expect=expect, claims=claims)
