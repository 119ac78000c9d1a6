"""The records of RFC 8188: one key for one message, cut into records of one size, the last one marked as such.

What the header says of record size and key id is the caller's to compare; what a message means, too. A record that
verified proves that the holder of the input key wrote it at this place of this message, and nothing of what follows:
only the last one proves that nothing was cut off.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import sealed as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

SALT_OCTETS: Final = 16
TAG_OCTETS: Final = 16
MIN_RECORD_OCTETS: Final = TAG_OCTETS + 2

_HEADER: Final = struct.Struct(">16sIB")
_MORE: Final = 1
_LAST: Final = 2
_MORE_OCTET: Final = bytes([_MORE])
_LAST_OCTET: Final = bytes([_LAST])
_SHA256: Final = SHA256()
_KEY_INFO: Final = b"Content-Encoding: aes128gcm\x00\x01"
_NONCE_INFO: Final = b"Content-Encoding: nonce\x00\x01"
_KEY_OCTETS: Final = 16
_NONCE_OCTETS: Final = 12


def room(record_octets: int) -> int:
    """Return how many octets of content a record of this size holds."""
    return record_octets - TAG_OCTETS - 1


class Header(NamedTuple):
    """What stands before the records (RFC 8188 section 2.1). `size` is the header's own, in octets."""

    salt: bytes
    record_octets: int
    key_id: bytes

    @property
    def size(self) -> int:
        """How many octets the header has."""
        return _HEADER.size + len(self.key_id)

    def dump(self) -> bytes:
        """Return the header's octets."""
        return _HEADER.pack(self.salt, self.record_octets, len(self.key_id)) + self.key_id


def parse_header(octets: bytes) -> Header | None:
    """Return the header with which `octets` begin; None where there are too few to tell. Proves nothing.

    Raises `MalformedEvidence` (`sealed.header_refused`) for a record size below 18.
    """
    if len(octets) < _HEADER.size:
        return None
    salt, record_octets, length = _HEADER.unpack_from(octets)
    if record_octets < MIN_RECORD_OCTETS:
        raise MalformedEvidence(reasons.HEADER_REFUSED, "record size")
    if len(octets) < _HEADER.size + length:
        return None
    return Header(salt, record_octets, bytes(octets[_HEADER.size : _HEADER.size + length]))


class _Keys:
    """Content key and nonces of one message (RFC 8188 sections 2.2 and 2.3)."""

    def __init__(self, input_key: bytes, salt: bytes) -> None:
        extracted = HMAC(HKDF.extract(_SHA256, salt, input_key), _SHA256)
        # One block of output is one HMAC of info and counter (RFC 5869 section 2.3).
        expanded = extracted.copy()
        expanded.update(_KEY_INFO)
        self.cipher = AESGCM(expanded.finalize()[:_KEY_OCTETS])
        extracted.update(_NONCE_INFO)
        self._nonce = int.from_bytes(extracted.finalize()[:_NONCE_OCTETS], "big")

    def nonce(self, record: int) -> bytes:
        return (self._nonce ^ record).to_bytes(_NONCE_OCTETS, "big")


class RecordWriter:
    """Writes one message. A pair of input key and salt is for one message alone."""

    def __init__(self, input_key: bytes, header: Header) -> None:
        """Take the input key, of any length, and a header whose salt was drawn for this message.

        Raises `Misuse` (`sealed.key_misused`) for sizes that RFC 8188 does not allow.
        """
        if len(header.salt) != SALT_OCTETS or not MIN_RECORD_OCTETS <= header.record_octets < 2**32:
            raise Misuse(reasons.KEY_MISUSED, "salt or record size")
        self._keys = _Keys(input_key, header.salt)
        self._room = room(header.record_octets)
        self._held: list[bytes | memoryview] = []
        self._held_octets = 0
        self._records = 0

    def write(self, content: bytes) -> list[bytes]:
        """Take more content, and return the records that are full and not the last."""
        records: list[bytes] = []
        octets, taken = memoryview(content), 0
        while self._held_octets + len(content) - taken > self._room:
            end = taken + self._room - self._held_octets
            self._held.append(octets[taken:end])
            records.append(self._seal(_MORE_OCTET))
            taken = end
        self._held.append(content[taken:])  # a copy of what is left, so that no view keeps the rest in memory
        self._held_octets += len(content) - taken
        return records

    def write_last(self, padding: int = 0) -> bytes:
        """Return the last record, with so many zeros.

        Raises `Misuse` (`sealed.key_misused`) where they do not fit.
        """
        if not 0 <= padding <= self._room - self._held_octets:
            raise Misuse(reasons.KEY_MISUSED, "no room for the padding")
        return self._seal(_LAST_OCTET + bytes(padding))

    def _seal(self, ending: bytes) -> bytes:
        self._held.append(ending)
        record = self._keys.cipher.encrypt(self._keys.nonce(self._records), b"".join(self._held), None)
        self._records += 1
        self._held_octets = 0
        self._held.clear()
        return record


class RecordReader:
    """Opens one message, record by record, from octets as they arrive. Once it refused, it opens nothing more."""

    def __init__(self, input_key: bytes, header: Header) -> None:
        """Take the input key and the header that `parse_header` returned."""
        self._keys = _Keys(input_key, header.salt)
        self._octets = header.record_octets
        self._held = bytearray()
        self._records = 0
        self._stopped = False
        self.last_octets = 0
        """Of the last record, tag included, once `finish` returned."""

    def read(self, octets: bytes | memoryview) -> Iterator[bytes]:
        """Take more octets, and yield the content of each record that is whole and has something after it.

        What is yielded is not to be acted upon before `finish` returned: whoever cut the message cut it here. Raises
        `VerificationFailed` (`sealed.record_invalid`), `MalformedEvidence` (`sealed.padding_malformed`), and `Misuse`
        (`sealed.key_misused`) once something was refused, or not all of what came before was taken.
        """
        self._stop()
        self._held += octets
        while len(self._held) > self._octets:
            record = self._held[: self._octets]
            del self._held[: self._octets]
            content, delimiter = self._open(record)
            if delimiter != _MORE:
                raise MalformedEvidence(reasons.PADDING_MALFORMED, "something follows the last record")
            yield content
        self._stopped = False

    def finish(self) -> bytes:
        """Return the content of the last record, once all octets were given in.

        Proves that the message is whole. Raises as `read`, and `VerificationFailed` (`sealed.truncated`).
        """
        self._stop()
        if len(self._held) <= TAG_OCTETS:
            raise VerificationFailed(reasons.TRUNCATED, "no last record")
        content, delimiter = self._open(self._held)
        if delimiter != _LAST:
            raise VerificationFailed(reasons.TRUNCATED, "the record at the end is not the last")
        self.last_octets = len(self._held)
        return content

    def _stop(self) -> None:
        """Stop until what is under way is done: a refusal leaves it so, and nothing is opened behind a gap."""
        if self._stopped:
            raise Misuse(reasons.KEY_MISUSED, "goes on behind a refusal or the end")
        self._stopped = True

    def _open(self, record: bytearray) -> tuple[bytes, int]:
        try:
            plain = self._keys.cipher.decrypt(self._keys.nonce(self._records), record, None)
        except InvalidTag:
            raise VerificationFailed(reasons.RECORD_INVALID) from None
        self._records += 1
        end = len(plain)
        if plain.endswith(b"\x00"):  # padding: everything behind the delimiter is zero
            end = len(plain.rstrip(b"\x00"))
        if not end:
            raise MalformedEvidence(reasons.PADDING_MALFORMED, "no delimiter")
        return plain[: end - 1], plain[end - 1]
