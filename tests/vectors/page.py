"""The reference page: check, reason, the vectors that hold it, the test that reads them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide import reasons
from bonafide.testing.vectors import ACCEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bonafide.testing.vectors import Vector

PATH: Final = Path("docs/reference/vectors.md")
_TESTS: Final = {
    "app_attest": "tests/evidence/app_attest/test_attestation.py",
    "app_assertion": "tests/evidence/app_attest/test_assertion.py",
    "cbor": "tests/codec/test_cbor.py",
    "der": "tests/codec/test_der.py",
    "debug": "tests/evidence/test_debug.py",
    "client_attestation": "tests/vectors/test_verdicts.py",
    "proof": "tests/vectors/test_verdicts.py",
    "dpop": "tests/vectors/test_verdicts.py",
    "request": "tests/vectors/test_verdicts.py",
    "route": "tests/vectors/test_verdicts.py",
    "session": "tests/vectors/test_verdicts.py",
    "document": "tests/vectors/test_verdicts.py",
    "key_schedule": "tests/vectors/test_verdicts.py",
    "key_agreement": "tests/vectors/test_verdicts.py",
    "client_data": "tests/vectors/test_verdicts.py",
    "challenge": "tests/vectors/test_verdicts.py",
    "statement": "tests/vectors/test_verdicts.py",
    "sealed": "tests/vectors/test_verdicts.py",
    "aes128gcm": "tests/vectors/test_verdicts.py",
}

SHOWN_ELSEWHERE: Final = {
    "request.body_too_large": "tests/django/test_spool.py",
    "request.body_incomplete": "tests/django/test_spool.py",
    "request.body_framing": "tests/django/test_spool.py",
    "request.body_unchecked": "tests/gate/test_processes.py",
    "request.body_malformed": "tests/enrolment/test_messages.py",
    "request.rate_exceeded": "tests/django/test_views.py",
    "route.legacy_share_exceeded": "tests/django/test_rollout.py",
    "challenge.purpose_unknown": "tests/enrolment/test_messages.py",
    "challenge.spent": "tests/enrolment/test_new_instance.py",
    "challenge.overtaken": "tests/enrolment/test_renewal.py",
    "challenge.governed": "tests/django/test_views.py",
    "statement.route_mismatch": "tests/django/test_behind_gate.py",
    "session.derivation_misused": "tests/test_session.py",
    "document.unissuable": "tests/documents/test_envelope.py",
    "document.agree_key_missing": "tests/django/test_document_views.py",
    "document.pins_missing": "tests/django/test_document_views.py",
    "session.key_missing": "tests/test_keys.py",
    "sealed.key_misused": "tests/test_sealing.py",
    "sealed.not_sealed": "tests/testing/test_sealed_answers.py",
    "sealed.unexpected": "tests/testing/test_sealed_answers.py",
    "sealed.too_large": "tests/testing/test_sealed_answers.py",
    "sealed.answer_unfit": "tests/test_sealed_answer.py",
    "sealed.key_missing": "tests/django/test_behind_gate.py",
}
"""Reasons that depend on more than one input, e.g. on how a server hands over a body: tests show them."""


_HEAD: Final = """\
# Vectors

<!-- Written by `python -m tests.vectors.build`. Edit the builder. -->

Each file below `vectors/` is one input with its verdict: `comment`, `now`, `input`, `expect` ("accept" or a
reason code), `claims`. Octets are base64. A vector that must be refused differs from one that must be
accepted in exactly one respect, and is signed again by the fake Apple of `bonafide.testing` where that
respect is signed. `test_every_vector_gets_its_verdict` of the file named in the last column reads each of
them under its name; Swift reads the same files.
"""

_TITLES: Final = {
    "app_attest": "Attestation (Apple, Validating apps that connect to your server)",
    "app_assertion": "Assertion (Apple, Validating apps that connect to your server)",
    "cbor": "CBOR (RFC 8949)",
    "der": "DER in Apple's extensions (ITU-T X.690)",
    "debug": "Debug evidence",
    "client_attestation": "Client attestation (PROTOCOL section 3)",
    "proof": "Proof of one request (PROTOCOL section 4)",
    "dpop": "DPoP proof of one request (PROTOCOL section 4; RFC 9449 section 4.3)",
    "request": "Form of a request (PROTOCOL section 4)",
    "route": "Route policy (PROTOCOL section 6)",
    "session": "Session, as a device opens it (PROTOCOL section 5)",
    "document": "Secrets, configuration and pins, as an app opens them (PROTOCOL section 5; ADR 15)",
    "key_schedule": "Key schedule of a session (PROTOCOL section 5; RFC 5869)",
    "key_agreement": "Key agreement of a session (PROTOCOL section 5; RFC 7518 section 4.6)",
    "client_data": "Client data, as an app writes it (PROTOCOL section 2)",
    "challenge": "Challenge, as the service verifies it (PROTOCOL section 2)",
    "statement": "A gate's word, as the API behind it reads it (PROTOCOL section 7)",
    "sealed": "Sealed answer, as an app opens it (PROTOCOL section 5, ADR 15)",
    "aes128gcm": "Records of a sealed answer (RFC 8188)",
}


def text(vectors: Sequence[Vector]) -> str:
    """Return the page. Raises `ValueError` for a reason of these areas that no vector expects."""
    parts = [_HEAD]
    for area, title in _TITLES.items():
        parts.append(f"\n## {title}\n\n| check | reason | vectors | test |\n|---|---|---|---|\n")
        parts += _rows(area, [vector for vector in vectors if vector.area == area])
    return "".join(parts)


def _rows(area: str, vectors: Iterable[Vector]) -> Iterator[str]:
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for vector in vectors:
        by_verdict[vector.expect].append(f"`{vector.name}`")
    yield f"| all hold | accept | {' '.join(by_verdict.pop(ACCEPT))} | `{_TESTS[area]}` |\n"
    for code, reason in reasons.by_code().items():
        if code in SHOWN_ELSEWHERE and code.startswith(f"{area}."):
            yield f"| {reason.spec} | [{code}](reasons.md) | | `{SHOWN_ELSEWHERE[code]}` |\n"
        elif code.startswith(f"{area}.") and code not in by_verdict:
            message = f"no vector expects {code}"
            raise ValueError(message)
        if code in by_verdict:
            yield f"| {reason.spec} | [{code}](reasons.md) | {' '.join(by_verdict[code])} | `{_TESTS[area]}` |\n"
