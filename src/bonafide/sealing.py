"""Sealed answers: what an API says to one question of one app, and nobody else can read or forge (PROTOCOL section 5).

    key = answer_key(seal_response_key(session_key), sid=sid, base=signature_base)
    sealer = Sealer(key, status=200, fields=[("content-type", "application/json")], salt=random(16))
    body = [sealer.head(), *sealer.write(octets), sealer.finish()]

The octets are those of ADR 15. A key holds for one request, because it derives from what that request's proof signed,
and for one status. The form has no spelling of choice: an opener takes what a sealer makes and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from bonafide.codec import json
from bonafide.codec.aes128gcm import (
    TAG_OCTETS,
    Header,
    RecordReader,
    RecordWriter,
    parse_header,
    room,
)
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.session import KEY_OCTETS, SID_OCTETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTENT_TYPE: Final = "application/bonafide-sealed"
CACHE_CONTROL: Final = "private, no-store, no-transform"
RECORD_OCTETS: Final = 65536
MAX_FIELDS_OCTETS: Final = 32 * 1024
MIN_LAST_RECORD_OCTETS: Final = 32

_LENGTH_OCTETS: Final = 4
_PAIR: Final = 2
_STATUSES: Final = range(200, 600)
_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_ROOM: Final = room(RECORD_OCTETS)
_SHA256: Final = SHA256()
_NO_SALT: Final = HMAC(bytes(_SHA256.digest_size), _SHA256)
"""What HKDF extracts by where there is no salt, ready to be copied: half of what an HMAC costs is its key."""

Fields = tuple[tuple[str, str], ...]
"""Header fields in order: names in lower case, as often as they were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKey:
    """K of one request, 32 octets, and the `sid` (16 octets) of the session that it was made with."""

    sid: bytes
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.sid) != SID_OCTETS or len(self.key) != KEY_OCTETS:
            raise Misuse(reasons.KEY_MISUSED, "sizes")


class OpenedAnswer(NamedTuple):
    """A sealed answer that verified whole: the fields that the application gave, and the body."""

    fields: Fields
    body: bytes


def answer_key(seal_response_key: bytes, *, sid: bytes, base: bytes) -> AnswerKey:
    """Return the key under which the answer to one request is sealed.

    HKDF-SHA-256 of `seal_response_key` (`bonafide.session`, 32 octets), without salt, info = SHA-256(`base`): the
    signature base of RFC 9421 section 2.5 as it was signed, by whichever key. Whoever holds the session key makes it.

    Raises `Misuse` (`sealed.key_misused`).
    """
    if len(seal_response_key) != KEY_OCTETS:
        raise Misuse(reasons.KEY_MISUSED, "sizes")
    return AnswerKey(sid=sid, key=_hkdf(seal_response_key, sha256(base).digest()))


class Sealer:
    """Seals one answer, in records, with a memory of one of them."""

    def __init__(self, key: AnswerKey, *, status: int, fields: Iterable[tuple[str, str]], salt: bytes) -> None:
        """Take the status that the answer is going to have, its inner fields, and 16 octets drawn for it alone.

        Raises `Misuse` (`sealed.key_misused`) for what `Opener` would not take.
        """
        self._header = Header(salt, RECORD_OCTETS, key.sid)
        self._writer = RecordWriter(_input_key(key, status), self._header)
        self._preface = _preface(tuple(fields))
        self._written = 0

    def head(self) -> bytes:
        """Return what the answer begins with. Once, before anything else."""
        self._writer.write(self._preface)
        self._written = len(self._preface)
        return self._header.dump()

    def write(self, content: bytes) -> list[bytes]:
        """Take more of the body; return the records that are whole by that."""
        self._written += len(content)
        return self._writer.write(content)

    def finish(self) -> bytes:
        """Return the last record: without it the answer is worth nothing."""
        return self._writer.write_last(_padding(self._written))

    def size(self, body_octets: int) -> int:
        """Return how many octets the answer with a body of this length has: the same for all content."""
        content = len(self._preface) + body_octets
        full = max(content - 1, 0) // _ROOM
        return self._header.size + full * RECORD_OCTETS + _last_size(content - full * _ROOM)


def seal(body: bytes, key: AnswerKey, *, status: int, fields: Iterable[tuple[str, str]], salt: bytes) -> list[bytes]:
    """Return a whole answer, in pieces: the header, and each record. Raises as `Sealer`."""
    sealer = Sealer(key, status=status, fields=fields, salt=salt)
    pieces = [sealer.head()]
    pieces += sealer.write(body)
    pieces.append(sealer.finish())
    return pieces


class Opener:
    """Opens one answer as the client does, with a memory of one record.

    What `write` yields proves that the API wrote it here, and not that it is the whole answer: keep it where it can be
    thrown away, until `finish` returned.
    """

    def __init__(self, key: AnswerKey, *, status: int) -> None:
        """Take the key of the request that was sent, and the status that came.

        Raises `Misuse` (`sealed.key_misused`).
        """
        self._key = key
        self._input_key = _input_key(key, status)
        self._begin = bytearray()
        self._reader: RecordReader | None = None
        self._fields: Fields | None = None

    @property
    def fields(self) -> Fields:
        """The inner fields, once the first record verified; before `finish` they prove as little as the body."""
        if self._fields is None:
            raise Misuse(reasons.KEY_MISUSED, "nothing was opened yet")
        return self._fields

    def write(self, octets: bytes | memoryview) -> Iterator[bytes]:
        """Take what came, and yield the parts of the body that are next.

        Raises `MalformedEvidence` and `VerificationFailed` (`sealed.*`).
        """
        if self._reader is None:
            self._begin += octets
            octets = self._start()
        if self._reader is not None:
            for content in self._reader.read(octets):
                if len(content) != _ROOM:
                    raise MalformedEvidence(reasons.PADDING_MALFORMED, "padding before the last record")
                yield self._body_of(content)

    def finish(self) -> bytes:
        """Return the last part of the body. Proves that all of it was sealed for this question and this status.

        Raises as `write`; `sealed.truncated` where something is missing.
        """
        if self._reader is None:
            raise VerificationFailed(reasons.TRUNCATED, "no header")
        content = self._reader.finish()
        if self._reader.last_octets != _last_size(len(content)):
            raise MalformedEvidence(reasons.PADDING_MALFORMED, "length of the last record")
        if not content and self._fields is not None:
            raise MalformedEvidence(reasons.PADDING_MALFORMED, "nothing in the last record")
        return self._body_of(content)

    def _start(self) -> bytes:
        header = parse_header(bytes(self._begin))
        if header is None:
            return b""
        if header.record_octets != RECORD_OCTETS or len(header.key_id) != SID_OCTETS:
            raise MalformedEvidence(reasons.HEADER_REFUSED)
        if header.key_id != self._key.sid:
            raise VerificationFailed(reasons.SESSION_MISMATCH)
        self._reader = RecordReader(self._input_key, header)
        rest = bytes(self._begin[header.size :])
        self._begin.clear()
        return rest

    def _body_of(self, content: bytes) -> bytes:
        if self._fields is not None:
            return content
        self._fields, begin = _parse_preface(content)
        return content[begin:]


def open_sealed(octets: bytes, key: AnswerKey, *, status: int) -> OpenedAnswer:
    """Open a whole answer that is held in memory.

    Proves: whoever holds the session key sealed these fields and this body as the answer to this request, with this
    status, and nothing is missing. Not proven: which of the holders (N2), and how old it is beyond that the request
    was made before it.

    Raises `MalformedEvidence` and `VerificationFailed` (`sealed.*`).
    """
    opener = Opener(key, status=status)
    parts = list(opener.write(octets))
    parts.append(opener.finish())
    return OpenedAnswer(opener.fields, b"".join(parts))


def _input_key(key: AnswerKey, status: int) -> bytes:
    if status not in _STATUSES:
        raise Misuse(reasons.KEY_MISUSED, "status")
    return _hkdf(key.key, b"status\x00" + status.to_bytes(2, "big"))


def _hkdf(key: bytes, info: bytes) -> bytes:
    """Return HKDF-SHA-256 without salt, 32 octets: the one block that RFC 5869 makes with two HMACs."""
    extract = _NO_SALT.copy()
    extract.update(key)
    expand = HMAC(extract.finalize(), _SHA256)
    expand.update(info + b"\x01")
    return expand.finalize()


def _last_size(content: int) -> int:
    """Return the size of a last record with so much content: the power of two that holds it, delimiter and tag."""
    return max(MIN_LAST_RECORD_OCTETS, 1 << (content + TAG_OCTETS).bit_length())


def _padding(content: int) -> int:
    last = content - max(content - 1, 0) // _ROOM * _ROOM
    return _last_size(last) - last - 1 - TAG_OCTETS


def _preface(fields: Fields) -> bytes:
    if not all(is_field(name, value) for name, value in fields):
        raise Misuse(reasons.KEY_MISUSED, "a field that no answer has")
    octets = json.dump({"fields": fields})
    if len(octets) > MAX_FIELDS_OCTETS:
        raise Misuse(reasons.KEY_MISUSED, "more fields than there is room for")
    return len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets


def _parse_preface(content: bytes) -> tuple[Fields, int]:
    """Return the inner fields, and where the body begins."""
    end = _LENGTH_OCTETS + int.from_bytes(content[:_LENGTH_OCTETS], "big")
    if end > len(content):
        raise MalformedEvidence(reasons.FIELDS_MALFORMED, "length")
    try:
        said = json.parse_object(content[_LENGTH_OCTETS:end], max_bytes=MAX_FIELDS_OCTETS)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.FIELDS_MALFORMED, error.detail) from None
    pairs = said.get("fields")
    if said.keys() != {"fields"} or not isinstance(pairs, list):
        raise MalformedEvidence(reasons.FIELDS_MALFORMED, "members")
    if not all(isinstance(pair, list) and len(pair) == _PAIR and is_field(*pair) for pair in pairs):
        raise MalformedEvidence(reasons.FIELDS_MALFORMED, "a field")
    return tuple((name, value) for name, value in pairs), end


def is_field(name: object, value: object) -> bool:
    """Tell whether a sealed answer can hold this field: a lower-case token, and one line without space around it."""
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and _NAME.fullmatch(name) is not None
        and _VALUE.fullmatch(value) is not None
    )
