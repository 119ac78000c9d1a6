"""Sealing answers, against the raw cipher; and what sealing adds to an admission, which is nothing where none is asked.

The raw cipher gets what it needs and no more: a new key, a new nonce, the body. Sealing is measured with everything
that an answer needs once its request was admitted: a drawn salt, fields, key schedule, padding, records. Two rows
between say where the time goes: what RFC 8188 has derived for one message, and the cipher alone over the same padded
records. The key of the question (`answer_key`) belongs to the admission, and is in the last row.
"""

from __future__ import annotations

import secrets
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bench._rounds import Row, compare, interleave, report
from bonafide.admission import Admitted, admit
from bonafide.sealing import RECORD_OCTETS, AnswerKey, Sealer, seal
from tests.gate_world import NOW, gate, request, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.admission import Gate
    from bonafide.http import HttpRequest

SIZES: Final[dict[str, tuple[int, float | None, float | None]]] = {
    "1 KB": (2**10, None, None),
    "10 KB": (10 * 2**10, 6.5, 2.0),
    "1 MB": (2**20, 2.2, 1.2),
}
"""Octets of the body; what sealing costs beside the raw cipher at most, or something has been made slower; and what it
was to cost, which is missed where a processor encrypts faster than Python derives keys and copies."""

FIELDS: Final = (("content-type", "application/json"), ("x-request-id", "0f8fad5bd9cb469fa16570867728950e"))
CALLS: Final = 200
_KEY: Final = AnswerKey(sid=bytes(16), key=bytes(range(32)))


def run() -> bool:
    """Measure, print, and tell whether every promise holds."""
    return report("sealing", [*_sealed_rows(), *_admission_rows()])


def _sealed_rows() -> list[Row]:
    cases: dict[str, Callable[[], object]] = {}
    for size, (octets, *_) in SIZES.items():
        body = secrets.token_bytes(octets)
        cases |= {
            f"AES-128-GCM (cryptography), {size}": partial(_raw, body),
            f"seal, {size}": partial(_seal, body),
            f"the key schedule of RFC 8188, {size}": partial(_key_schedule, secrets.token_bytes(32)),
            f"the cipher over the padded records, {size}": partial(_records, _padded(octets)),
        }
    costs = interleave(cases, calls=CALLS)
    rows = []
    for size, (_, at_most, aim) in SIZES.items():
        raw = f"AES-128-GCM (cryptography), {size}"
        rows += [
            compare(costs, raw, versus=raw),
            compare(costs, f"the key schedule of RFC 8188, {size}", versus=raw),
            compare(costs, f"the cipher over the padded records, {size}", versus=raw),
            compare(costs, f"seal, {size}", versus=raw, at_most=at_most, aim=aim),
        ]
    return rows


def _raw(body: bytes) -> object:
    return AESGCM(secrets.token_bytes(16)).encrypt(secrets.token_bytes(12), body, None)


def _seal(body: bytes) -> object:
    return seal(body, _KEY, status=200, fields=FIELDS, salt=secrets.token_bytes(16))


def _key_schedule(input_key: bytes) -> object:
    """Derive by HKDF as anybody would: content key and nonce from the same salt and input."""
    salt = secrets.token_bytes(16)
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(input_key)
    return AESGCM(key), HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(input_key)


def _padded(octets: int) -> list[bytes]:
    """Return plain text of the sizes that the records of such an answer have."""
    whole = Sealer(_KEY, status=200, fields=FIELDS, salt=bytes(16)).size(octets) - 37
    sizes = [RECORD_OCTETS] * (whole // RECORD_OCTETS)
    sizes += [whole % RECORD_OCTETS] if whole % RECORD_OCTETS else []
    return [bytes(size - 16) for size in sizes]


def _records(plain: list[bytes]) -> object:
    cipher = AESGCM(secrets.token_bytes(16))
    return [cipher.encrypt(number.to_bytes(12, "big"), octets, None) for number, octets in enumerate(plain)]


def _admission_rows() -> list[Row]:
    """Admit the same requests, without a store, at gates that differ in one rule."""
    clear, said, sealed = ({"match": "/api/**", **rule} for rule in ({}, {"seal": False}, {"seal": True}))
    requests = [request(attestation=token(), nonce=f"{number:022d}") for number in range(CALLS)]
    cases = {
        "session proof, a route in clear": partial(_admit, cycle(requests).__next__, gate(clear)),
        "session proof, `seal = false`": partial(_admit, cycle(requests).__next__, gate(said)),
        "session proof, `seal = true`": partial(_admit, cycle(requests).__next__, gate(sealed)),
    }
    costs = interleave(cases, calls=CALLS)
    return [compare(costs, name, versus=next(iter(cases))) for name in cases]


def _admit(take: Callable[[], HttpRequest], at: Gate) -> None:
    decision = admit(take(), gate=at, now=NOW)
    if isinstance(decision, Admitted):
        message = "a route that settles at once"
        raise TypeError(message)
