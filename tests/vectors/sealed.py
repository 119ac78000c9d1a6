"""The vectors of `sealed` and `aes128gcm`: what the octets of an answer are, and each way in which they are not.

An accepted vector of `sealed` says what is sealed (`body`, or `body_size` octets of which the one at i is i mod 251)
and claims the octets, or their number and SHA-256 alone where they are many. A refused one says what is opened:
`octets`, or `pieces` of the answer that `answer` describes, sealed for the same question: `[from, to]` is a slice of
it, and a text is octets. What is sealed here is sealed by the RFCs alone, not by the code under test.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bonafide.codec import json
from bonafide.codec.aes128gcm import RecordReader, parse_header
from bonafide.errors import VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.sealing import AnswerKey, answer_key, open_sealed, seal
from bonafide.session import seal_response_key
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.vectors.sessions import _hkdf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SESSION_KEY: Final = bytes(range(32))
SID: Final = bytes(range(16))
SALT: Final = bytes(range(100, 116))
BASE: Final = '"@method": GET\n"@path": /api/config\n"@query": ?\n"@signature-params": ("@method" "@path" "@query")'
STATUS: Final = 200
JSON_FIELD: Final = (("content-type", "application/json"),)
ROOM: Final = 65519
HEADER_OCTETS: Final = 37
SHOWN_OCTETS: Final = 4096

Pairs = tuple[tuple[str, str], ...]


def pattern(size: int) -> bytes:
    """Return the octets of a body that is told by its size."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def preface(fields: Pairs) -> bytes:
    """Return what stands before the body."""
    octets = json.dump({"fields": fields})
    return len(octets).to_bytes(4, "big") + octets


def plain_records(content: bytes) -> list[bytes]:
    """Cut and pad as ADR 15 says."""
    full = max(len(content) - 1, 0) // ROOM
    records = [content[at * ROOM : (at + 1) * ROOM] + b"\x01" for at in range(full)]
    last, size = content[full * ROOM :], 32
    while size < len(last) + 17:
        size *= 2
    return [*records, (last + b"\x02").ljust(size - 16, b"\0")]


def seal_records(
    plain: Iterable[bytes], *, input_key: bytes, salt: bytes = SALT, record_size: int = 65536, key_id: bytes = SID
) -> bytes:
    """Seal records of any form, as RFC 8188 writes it down."""
    header = salt + record_size.to_bytes(4, "big") + bytes([len(key_id)]) + key_id
    cipher = AESGCM(_hkdf(input_key, salt, b"Content-Encoding: aes128gcm\0")[:16])
    nonce = int.from_bytes(_hkdf(input_key, salt, b"Content-Encoding: nonce\0")[:12], "big")
    parts = [cipher.encrypt((nonce ^ at).to_bytes(12, "big"), octets, None) for at, octets in enumerate(plain)]
    return header + b"".join(parts)


def input_key(*, session_key: bytes = SESSION_KEY, base: str = BASE, status: int = STATUS) -> bytes:
    """Return the input keying material of one answer."""
    key = expected_answer_key(session_key, base)
    return _hkdf(key, b"", b"status\0" + status.to_bytes(2, "big"))


def expected_answer_key(session_key: bytes, base: str) -> bytes:
    """Derive K of one request as ADR 15 writes it down, not by the code under test."""
    return _hkdf(_hkdf(session_key, b"", b"bonafide seal response"), b"", hashlib.sha256(base.encode()).digest())


def judge_sealed(vector: Vector) -> Mapping[str, object]:
    """Seal as an API does, or open as an app does."""
    sealing_key = seal_response_key(vector.octets("session_key"))
    key = answer_key(sealing_key, sid=vector.octets("sid"), base=vector.text("base").encode())
    status = vector.number("status")
    if "octets" in vector.input or "pieces" in vector.input:
        opened = open_sealed(_octets(vector, key), key, status=status)
        return {"fields": [list(pair) for pair in opened.fields], "body": encode(opened.body)}
    fields, body = _said(vector.input)
    octets = b"".join(seal(body, key, status=status, fields=fields, salt=vector.octets("salt")))
    assert open_sealed(octets, key, status=status) == (fields, body)
    return _claims(key.key, octets)


def judge_records(vector: Vector) -> Mapping[str, object]:
    """Open a message of RFC 8188."""
    octets = vector.octets("octets")
    header = parse_header(octets)
    if header is None:
        raise VerificationFailed(reasons.TRUNCATED)
    reader = RecordReader(vector.octets("key"), header)
    content = b"".join([*reader.read(octets[header.size :]), reader.finish()])
    return {
        "salt": encode(header.salt),
        "record_size": header.record_octets,
        "key_id": encode(header.key_id),
        "content": encode(content),
    }


def _said(given: Mapping[str, Any]) -> tuple[Pairs, bytes]:
    fields = tuple((name, value) for name, value in given["fields"])
    return fields, base64.b64decode(given["body"]) if "body" in given else pattern(given["body_size"])


def _octets(vector: Vector, key: AnswerKey) -> bytes:
    if "octets" in vector.input:
        return vector.octets("octets")
    answer: Any = vector.input["answer"]
    pieces: Any = vector.input["pieces"]
    fields, body = _said(answer)
    salt = base64.b64decode(answer["salt"])
    whole = b"".join(seal(body, key, status=vector.number("status"), fields=fields, salt=salt))
    return b"".join(base64.b64decode(part) if isinstance(part, str) else whole[slice(*part)] for part in pieces)


def _claims(key: bytes, octets: bytes) -> dict[str, object]:
    claims: dict[str, object] = {
        "key": encode(key),
        "size": len(octets),
        "sha256": encode(hashlib.sha256(octets).digest()),
    }
    return claims if len(octets) > SHOWN_OCTETS else {**claims, "octets": encode(octets)}


QUESTION: Final = {"session_key": encode(SESSION_KEY), "sid": encode(SID), "base": BASE, "status": STATUS}


def good(name: str, comment: str, *, body: bytes | int, fields: Pairs = JSON_FIELD, **question: Any) -> Vector:
    """Return the vector of what is sealed; a body that is a number is told by its size."""
    asked = {"session_key": SESSION_KEY, "base": BASE, "status": STATUS, **question}
    said = {"body_size": body} if isinstance(body, int) else {"body": encode(body)}
    whole = pattern(body) if isinstance(body, int) else body
    octets = seal_records(plain_records(preface(fields) + whole), input_key=input_key(**asked))
    given = {
        **QUESTION,
        **asked,
        "session_key": encode(asked["session_key"]),
        "salt": encode(SALT),
        "fields": [list(pair) for pair in fields],
        **said,
    }
    claims = _claims(expected_answer_key(asked["session_key"], asked["base"]), octets)
    return Vector(name=f"sealed/good{name}", comment=comment, now=None, input=given, expect=ACCEPT, claims=claims)


def refused(name: str, comment: str, expect: str, octets: bytes, **asked: Any) -> Vector:
    """Return the vector of octets that are opened, as the answer to another question where `asked` says so."""
    given = {**QUESTION, **asked, "octets": encode(octets)}
    return Vector(name=f"sealed/{name}", comment=comment, now=None, input=given, expect=f"sealed.{expect}", claims=None)


def refused_pieces(
    name: str, comment: str, expect: str, answer: Mapping[str, object], pieces: Sequence[Sequence[int] | bytes]
) -> Vector:
    """Return the vector of an answer of several records that was cut and put together again."""
    told = [encode(part) if isinstance(part, bytes) else list(part) for part in pieces]
    given = {**QUESTION, "answer": answer, "pieces": told}
    return Vector(name=f"sealed/{name}", comment=comment, now=None, input=given, expect=f"sealed.{expect}", claims=None)
