"""An answer is sealed as it comes, in little memory, and what was announced wrongly has no last record."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealing import RECORD_OCTETS, OpenedAnswer, open_sealed
from bonafide.upstream.sealed_answer import SealedAnswer, SealedFailure
from tests.upstream.word import ANSWER_KEY

OUTSIDE = [("Content-Type", "application/bonafide-sealed"), ("Cache-Control", "private, no-store, no-transform")]


def octets(answer: SealedAnswer, *chunks: bytes) -> bytes:
    return b"".join([*(record for chunk in chunks for record in answer.write(chunk)), answer.finish()])


def opened(sealed: bytes, status: int = 200) -> OpenedAnswer:
    return open_sealed(sealed, ANSWER_KEY, status=status)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.integers(0, 3 * RECORD_OCTETS), max_size=4))
def test_however_a_body_is_cut_it_opens_to_the_same(lengths: list[int]) -> None:
    chunks = [bytes([number]) * length for number, length in enumerate(lengths)]
    answer = SealedAnswer(ANSWER_KEY, 200, [("X-Inner", "a")])
    assert opened(octets(answer, *chunks)) == OpenedAnswer((("x-inner", "a"),), b"".join(chunks))


@pytest.mark.parametrize("size", [0, 1, 1000, RECORD_OCTETS, 300_000])
def test_the_length_that_is_told_is_the_length_that_comes(size: int) -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [("Content-Length", str(size))])
    told = answer.fields()
    sealed = octets(answer, bytes(size))
    assert told == [*OUTSIDE, ("Content-Length", str(len(sealed)))]


def test_a_short_answer_has_a_length_though_none_was_told() -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [])
    assert answer.fields() == OUTSIDE
    sealed = octets(answer, b"short")
    assert answer.fields() == [*OUTSIDE, ("Content-Length", str(len(sealed)))]


def test_nothing_goes_out_before_the_first_record_is_whole() -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [])
    assert list(answer.write(b"x" * 60_000)) == []
    (first,) = answer.write(b"x" * 10_000)
    assert len(first) == 37 + RECORD_OCTETS


@pytest.mark.parametrize("chunks", [[b"12345"], [b"123", b"45"], [b"123"], []])
def test_a_wrong_length_has_no_last_record(chunks: list[bytes]) -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [("content-length", "4")])
    with pytest.raises(Misuse) as refusal:
        octets(answer, *chunks)
    assert refusal.value.reason is reasons.ANSWER_UNFIT
    for go_on in (lambda: list(answer.write(b"")), answer.finish) if len(b"".join(chunks)) > 4 else ():
        with pytest.raises(Misuse):
            go_on()


def test_an_answer_ends_once() -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [])
    answer.finish()
    for go_on in (lambda: list(answer.write(b"more")), answer.finish):
        with pytest.raises(Misuse):
            go_on()


@pytest.mark.parametrize("length", ["", "-1", "1.0", "1e1", "+1", "\u0661", "1" * 16, "0x1"])
def test_a_length_that_is_none_cannot_be_sealed(length: str) -> None:
    with pytest.raises(Misuse) as refusal:
        SealedAnswer(ANSWER_KEY, 200, [("Content-Length", length)])
    assert refusal.value.reason is reasons.ANSWER_UNFIT


def test_two_lengths_cannot_be_sealed_unless_they_are_one() -> None:
    with pytest.raises(Misuse):
        SealedAnswer(ANSWER_KEY, 200, [("Content-Length", "4"), ("content-length", "5")])
    SealedAnswer(ANSWER_KEY, 200, [("Content-Length", "4"), ("content-length", "4")])


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (206, []),
        (101, []),
        (600, []),
        (200, [("Content-Encoding", "gzip")]),
        (200, [("Content-Type", "text/event-stream")]),
        (200, [("X", "a\r\nb")]),
        (200, [("a b", "c")]),
        (200, [("X", "x" * 32 * 1024)]),
    ],
    ids=str,
)
def test_what_no_sealed_answer_can_be_is_refused(status: int, fields: list[tuple[str, str]]) -> None:
    with pytest.raises(Misuse) as refusal:
        SealedAnswer(ANSWER_KEY, status, fields)
    assert refusal.value.reason in {reasons.ANSWER_UNFIT, reasons.KEY_MISUSED}


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_without_a_body_is_a_sealed_empty_one(status: int) -> None:
    answer = SealedAnswer(ANSWER_KEY, status, [("Content-Length", "12"), ("X", "y")])
    told = answer.fields()
    sealed = octets(answer, b"dropped")
    assert answer.status == 200
    assert opened(sealed) == OpenedAnswer((("x", "y"),), b"")
    assert told == [*OUTSIDE, ("Content-Length", str(len(sealed)))]


def test_an_array_that_is_used_again_is_sealed_as_it_was() -> None:
    answer = SealedAnswer(ANSWER_KEY, 200, [])
    buffer = bytearray(b"first")
    assert not list(answer.write(buffer))  # type: ignore[arg-type]  # what servers let through
    buffer[:] = b"other"
    assert opened(answer.finish()).body == b"first"


def test_a_failure_is_whole_and_says_nothing() -> None:
    failure = SealedFailure(ANSWER_KEY)
    assert failure.status == 500
    assert failure.fields() == [*OUTSIDE, ("Content-Length", str(len(failure.body)))]
    assert opened(failure.body, 500) == OpenedAnswer((), b"")


@pytest.mark.parametrize("chunk", [2**16, 2**20])
def test_sixty_four_megabytes_are_sealed_in_the_memory_of_some_records(chunk: int) -> None:
    octets_of = bytes(chunk)
    answer = SealedAnswer(ANSWER_KEY, 200, [])
    tracemalloc.start()
    try:
        sent = 0
        for _ in range(2**26 // chunk):
            for record in answer.write(octets_of):
                sent += len(record)
        sent += len(answer.finish())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > 2**26
    assert peak < 8 * RECORD_OCTETS
