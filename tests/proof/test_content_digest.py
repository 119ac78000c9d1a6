"""Content-Digest in one form (RFC 9530), compared as text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.proof.content_digest import NO_BODY, digest_of, parse_digest, verify_digest
from bonafide.reasons import proof as reasons

HELLO = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
"""The `sha-256` digest of `{"hello": "world"}` as RFC 9421 section 2.1 and RFC 9530 print it."""


def test_digest_of_the_rfc_9421_example_body() -> None:
    assert digest_of([b'{"hello": ', b'"world"}']) == HELLO


def test_empty_body_has_the_digest_of_zero_octets() -> None:
    assert NO_BODY == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert parse_digest(NO_BODY) == NO_BODY


@pytest.mark.parametrize(
    "value",
    [
        "",
        HELLO + ", sha-512=:AAAA:",
        HELLO + ";q=1",
        " " + HELLO,
        HELLO + "\n",
        HELLO.replace("sha-256", "SHA-256"),
        HELLO.replace("sha-256", "sha-512"),
        HELLO.replace("PE=:", "PF=:"),
        HELLO.replace("=:X4", "=:-4"),
        HELLO.replace("E=:", "E:"),
        HELLO.replace("X48", "X4"),
        HELLO + "," + HELLO,
    ],
)
def test_any_other_form_is_refused(value: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        parse_digest(value)
    assert refusal.value.reason is reasons.DIGEST_MALFORMED


def test_equal_digests_verify_and_different_ones_do_not() -> None:
    verify_digest(HELLO, digest_of([b'{"hello": "world"}']))
    with pytest.raises(VerificationFailed) as refusal:
        verify_digest(HELLO, digest_of([b'{"hello": "w0rld"}']))
    assert refusal.value.reason is reasons.DIGEST_MISMATCH


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=3))
def test_chunking_never_matters_and_every_digest_parses(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(edges)]
    assert parse_digest(digest_of(chunks)) == digest_of([body])


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.text(max_size=80))
def test_only_malformed_evidence_leaves_the_parser(text: str) -> None:
    with pytest.raises(MalformedEvidence):
        parse_digest(text)
