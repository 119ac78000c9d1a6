"""The vectors of `app_assertion`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from bonafide.testing.apple import FakeApple, derive_key
from bonafide.testing.secure_enclave import SecureEnclave, assertion_object, launch_extensions, x963
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.vectors.attestation_world import APP_ID, NOW, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HASH: Final = hashlib.sha256(b'{"type":"renew"}').digest()
VERSION: Final = "apple_bundle_version_01"
CATEGORY: Final = "apple_validation_category_01"


class Signer:
    """A device whose key has been attested, about to make its third assertion."""

    def __init__(self, *, ios: str = "27.0", ed_flag: bool = False) -> None:
        """Make the device."""
        self.phone = SecureEnclave(FakeApple(b"vectors"), app_id=APP_ID, ios=ios, ed_flag=ed_flag, random=stream("a"))
        self.key = self.phone.generate_key()
        self.phone.attest_key(self.key, HASH, now=NOW)
        self.auth_data: Callable[[bytes], bytes] = lambda data: data
        self.client_data_hash = HASH

    def assertion(self) -> bytes:
        """Return the assertion over the changed authenticator data."""
        auth_data = self.auth_data(self.phone.asserted_data(3))
        return assertion_object(self.phone.private_key(self.key), auth_data, self.client_data_hash)


def vector(
    name: str,
    comment: str,
    signer: Signer,
    *,
    expect: str = ACCEPT,
    claims: Mapping[str, object] | None = None,
    **differing: object,
) -> Vector:
    """Return a vector whose input is what the signer made, but for what `differing` replaces."""
    launched = signer.phone.ios == "27.0"
    good: dict[str, object] = {
        "app_id": APP_ID,
        "counter": 3,
        "bundle_version": "1" if launched else None,
        "validation_category": 4 if launched else None,
        "code_directory_hash": None,
        "code_directory_hash_type": None,
    }
    given: dict[str, object] = {
        "assertion": encode(signer.assertion()),
        "client_data_hash": encode(signer.client_data_hash),
        "public_key": encode(signer.phone.public_key(signer.key)),
        "app_id": APP_ID,
        "last_counter": 2,
        **differing,
    }
    proven = {**good, **(claims or {})} if expect == ACCEPT else None
    return Vector(name=f"app_assertion/{name}", comment=comment, now=None, input=given, expect=expect, claims=proven)


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    yield from _good()
    yield from _objects()
    yield from _extensions()
    yield from _public_keys()
    yield from _steps()


def _good() -> Iterator[Vector]:
    yield vector("good_ios_26_1", "37 octets, the AT flag set without credential data", Signer(ios="26.1"))
    yield vector("good_ios_27_0", "A map follows, the ED flag is clear", Signer())
    yield vector("good_ios_27_0_ed_set", "A map follows, the ED flag is set", Signer(ed_flag=True))
    flags = Signer(ios="26.1")
    flags.auth_data = _replace(32, b"\x00")
    yield vector("good_at_clear", "No flag at all", flags)
    raw = Signer()
    raw.client_data_hash = b"example_server_challenge"
    yield vector("good_raw_challenge", "24 octets where a digest is usual", raw)
    yield vector("good_first_use", "No assertion has been accepted before", Signer(), last_counter=0)


def _objects() -> Iterator[Vector]:
    good = cbor2.loads(Signer().assertion())
    malformed = "app_assertion.object_malformed"
    for name, comment, value in (
        ("array", "An array", list(good.values())),
        ("member_missing", "No signature", {"authenticatorData": good["authenticatorData"]}),
        ("member_added", "A third member", good | {"keyId": b""}),
        ("signature_text", "The signature is text", good | {"signature": "r, s"}),
        ("auth_data_text", "The authenticator data is text", good | {"authenticatorData": "x"}),
    ):
        assertion = encode(cbor2.dumps(value))
        yield vector(f"object_{name}", comment, Signer(), expect=malformed, assertion=assertion)
    octets = Signer().assertion()
    for name, comment, expect, data in (
        ("truncated", "The last octet is missing", "cbor.malformed", octets[:-1]),
        ("trailing", "An octet follows", "cbor.trailing_data", octets + b"\x00"),
        ("too_large", "2,049 octets", "cbor.too_large", octets + bytes(2049 - len(octets))),
    ):
        yield vector(f"cbor_{name}", comment, Signer(), expect=expect, assertion=encode(data))
    short = Signer(ios="26.1")
    short.auth_data = lambda data: data[:36]
    comment = "36 octets of authenticator data"
    yield vector("auth_data_short", comment, short, expect="app_assertion.auth_data_malformed")


def _extensions() -> Iterator[Vector]:
    good = launch_extensions({VERSION: "1", CATEGORY: bytes([4, 0, 0, 0])})
    for name, comment, tail in (
        ("octets", "Octets that are not CBOR", b"\xff\xff"),
        ("array", "An array", cbor2.dumps([VERSION, "1"])),
        ("two", "A second map", good + b"\xa0"),
        ("credential", "Attested credential data, which only attestations have", bytes(16) + b"\x00\x20" + bytes(32)),
        ("version_number", "The bundle version is a number", cbor2.dumps({VERSION: 1})),
        ("category_short", "The category in 3 octets", cbor2.dumps({CATEGORY: bytes([4, 0, 0])})),
    ):
        signer = Signer(ios="26.1")
        signer.auth_data = lambda data, tail=tail: data + tail  # type: ignore[misc]  # the default binds this round's
        yield vector(f"extensions_{name}", comment, signer, expect="app_assertion.extensions_malformed")
    nothing = Signer(ios="26.1")
    nothing.auth_data = _replace(32, b"\xc0")
    comment = "The ED flag is set and nothing follows"
    yield vector("extensions_announced", comment, nothing, expect="app_assertion.extensions_malformed")


def _public_keys() -> Iterator[Vector]:
    key = Signer().phone.public_key(Signer().key)
    compressed = bytes([2 + key[-1] % 2]) + key[1:33]
    for name, comment, octets in (
        ("empty", "No octets", b""),
        ("compressed", "A compressed point", compressed),
        ("hybrid", "A hybrid point", bytes([6 + key[-1] % 2]) + key[1:]),
        ("off_curve", "y with one bit changed", key[:-1] + bytes([key[-1] ^ 1])),
        ("infinity", "65 zero octets", bytes(65)),
    ):
        expect = "app_assertion.public_key_malformed"
        yield vector(f"public_key_{name}", comment, Signer(), expect=expect, public_key=encode(octets))


def _steps() -> Iterator[Vector]:
    expect = "app_assertion.signature_invalid"
    other = encode(x963(derive_key(b"strange", "key", ec.SECP256R1()).public_key()))
    yield vector("public_key_other", "Step 3: another key", Signer(), expect=expect, public_key=other)
    hashed = encode(hashlib.sha256(HASH).digest())
    comment = "Steps 1 to 3: the client data hash hashed once more"
    yield vector("hash_other", comment, Signer(), expect=expect, client_data_hash=hashed)
    members = cbor2.loads(Signer().assertion())
    raised = members | {"authenticatorData": _replace(36, b"\x04")(members["authenticatorData"])}
    comment = "Steps 1 to 3: the counter raised after signing"
    yield vector("counter_edited", comment, Signer(), expect=expect, assertion=encode(cbor2.dumps(raised)))
    for name, comment, signature in (
        ("empty", "an empty signature", b""),
        ("zero", "r and s are 0", b"\x30\x06\x02\x01\x00\x02\x01\x00"),
        ("trailing", "an octet after the signature", members["signature"] + b"\x00"),
        ("once_hashed", "a signature over authenticatorData and clientDataHash, hashed once", _once_hashed()),
    ):
        assertion = encode(cbor2.dumps(members | {"signature": signature}))
        yield vector(f"signature_{name}", f"Step 3: {comment}", Signer(), expect=expect, assertion=assertion)
    for name, app_id in (("team", "ABCDE12346.com.example.app"), ("bundle", APP_ID + ".clip"), ("empty", "")):
        comment = "Step 4: another App ID"
        yield vector(f"app_id_{name}", comment, Signer(), expect="app_assertion.app_id_mismatch", app_id=app_id)
    for name, last in (("equal", 3), ("higher", 4), ("highest", 2**32 - 1)):
        comment = "Step 5: the counter last accepted is not lower"
        expect = "app_assertion.counter_not_increased"
        yield vector(f"counter_{name}", comment, Signer(), expect=expect, last_counter=last)


def _once_hashed() -> bytes:
    """Sign as a verifier would expect that forgets that ECDSA hashes the nonce again."""
    signer = Signer()
    digest = hashlib.sha256(signer.phone.asserted_data(3) + HASH).digest()
    algorithm = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
    return signer.phone.private_key(signer.key).sign(digest, algorithm)


def _replace(at: int, octets: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + octets + data[at + len(octets) :]
