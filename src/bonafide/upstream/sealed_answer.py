"""An application's answer while it is sealed, for WSGI and ASGI alike (PROTOCOL section 5, ADR 15).

Rules of this file: what a gate handed a key on for is answered under that key or not at all. Nothing goes out before
the first record is whole, so that what fails until then is a sealed 500, and a shorter answer has a length; what fails
later ends without its last record, and no app takes it for whole. Memory: two records, whatever the application gives.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Final

from bonafide.codec.aes128gcm import SALT_OCTETS
from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealed_answer import OUTSIDE, UNFIT, PreparedAnswer, prepare
from bonafide.sealing import RECORD_OCTETS, AnswerKey, Sealer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bonafide.statement import Statement

logger: Final = logging.getLogger("bonafide.upstream")

_MAX_LENGTH_DIGITS: Final = 15  # a petabyte; Python refuses to read numbers of thousands of digits


class SealedAnswer:
    """One answer. `status` and `fields()` are what stands outside of it."""

    def __init__(self, key: AnswerKey, status: int, fields: Sequence[tuple[str, str]]) -> None:
        """Take what the application begins its answer with.

        Raises `Misuse` (`sealed.answer_unfit`, `sealed.key_misused`) for one that cannot be sealed.
        """
        self._prepared = prepare(status, fields)
        self._left = _announced(fields) if self._prepared.has_body else 0
        self._sealer = _sealer(key, self._prepared)
        self._head = self._sealer.head()
        self._length = None if self._left is None else self._sealer.size(self._left)
        self._ended = False
        self.has_taken = False
        """Whether the application has given any of its body, which settles how the answer begins."""

    @property
    def status(self) -> int:
        """The status, inside and outside the same."""
        return self._prepared.status

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields outside, as far as they are known by now: with the length after `finish` at the latest."""
        length = [] if self._length is None else [("Content-Length", str(self._length))]
        return [*OUTSIDE, *length]

    def write(self, chunk: bytes) -> Iterator[bytes]:
        """Take more of the body, and yield the records that are whole by that.

        Raises `Misuse` (`sealed.answer_unfit`) for more than was announced, and for anything after such a mistake.
        """
        if self._ended:
            raise Misuse(reasons.ANSWER_UNFIT, "a body after its end")
        self.has_taken = self.has_taken or bool(chunk)
        if not self._prepared.has_body:
            return
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self._ended = True
                raise Misuse(reasons.ANSWER_UNFIT, "longer than its Content-Length")
        view = memoryview(bytes(chunk))  # an array that the application goes on to use is copied, bytes are not
        for start in range(0, len(view), RECORD_OCTETS):
            for record in self._sealer.write(view[start : start + RECORD_OCTETS]):  # type: ignore[arg-type]  # joined
                yield self._with_head(record)

    def finish(self) -> bytes:
        """Return the last record.

        Raises `Misuse` (`sealed.answer_unfit`) for less than was announced.
        """
        if self._ended or self._left:
            raise Misuse(reasons.ANSWER_UNFIT, "shorter than its Content-Length, or ended twice")
        self._ended = True
        whole = bool(self._head)
        last = self._with_head(self._sealer.finish())
        if whole:
            self._length = len(last)
        return last

    def _with_head(self, record: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + record


class SealedFailure:
    """The answer in place of one that cannot be sealed, or never came: 500, and nothing inside."""

    def __init__(self, key: AnswerKey) -> None:
        """Make it whole."""
        sealer = _sealer(key, UNFIT)
        self.status: Final = UNFIT.status
        self.body: Final = sealer.head() + sealer.finish()

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields outside."""
        return [*OUTSIDE, ("Content-Length", str(len(self.body)))]


def log_failure(statement: Statement, error: Exception) -> None:
    """Write down why the application's answer is not the one that goes out, under the gate's record."""
    if isinstance(error, Misuse):
        code, told = error.reason.code, None
        what = f"an answer that cannot be sealed reason={code} detail={error.detail}"
        extra = {"bonafide": {"reason": code, "record": statement.record}}
    else:
        what, told, extra = "the application failed", error, None
    logger.error("%s record=%s route=%s", what, statement.record, statement.route, exc_info=told, extra=extra)


def _sealer(key: AnswerKey, prepared: PreparedAnswer) -> Sealer:
    return Sealer(key, status=prepared.status, fields=prepared.fields, salt=secrets.token_bytes(SALT_OCTETS))


def _announced(fields: Iterable[tuple[str, str]]) -> int | None:
    """Return the length that the application gave; None where it gave none."""
    lengths = {value.strip(" \t") for name, value in fields if name.lower() == "content-length"}
    if not lengths:
        return None
    (length, *others) = lengths
    if others or not (length.isascii() and length.isdecimal() and len(length) <= _MAX_LENGTH_DIGITS):
        raise Misuse(reasons.ANSWER_UNFIT, "Content-Length")
    return int(length)
