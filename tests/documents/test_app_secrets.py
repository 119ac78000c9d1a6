"""Secrets open on the device and for the question that they were issued for, and print nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt  # noqa: TID251 - the second opinion
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey

from bonafide.documents import SECRETS_TYPE, SecretsDocument, issue_secrets, open_secrets
from bonafide.errors import BonafideError, Misuse
from bonafide.reasons import document as reasons
from tests import canaries
from tests.documents.world import ADDRESSEE, AGREE, NOON, PINNED, SERVICE, VALIDITY, random

_SECRET = "a-secret-that-no-representation-tells"
canaries.plant("app secret", _SECRET)
_DOCUMENT = SecretsDocument(validity=VALIDITY, secrets={"maps": _SECRET})
_TOKEN = issue_secrets(_DOCUMENT, addressee=ADDRESSEE, service_key=SERVICE, recipient=AGREE.public_key(), random=random)


def _open(token: str = _TOKEN, **changes: Any) -> SecretsDocument:
    given: dict[str, Any] = {"agree_key": AGREE, "pinned": PINNED, "addressee": ADDRESSEE, "now": NOON}
    return open_secrets(token, **{**given, **changes})


def test_secrets_open_on_the_device_that_asked() -> None:
    assert _open() == _DOCUMENT


def test_two_other_libraries_read_the_secrets_as_the_wire_describes_them() -> None:
    outer = joserfc_jwe.decrypt_compact(_TOKEN, ECKey.import_key(AGREE), algorithms=["ECDH-ES", "A256GCM"])
    assert outer.plaintext is not None
    inner = outer.plaintext.decode()
    assert jwt.get_unverified_header(inner)["typ"] == SECRETS_TYPE == "bonafide-secrets+jwt"
    claims = jwt.decode(
        inner,
        SERVICE.private_key.public_key(),
        algorithms=["ES256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "app": "shop",
        "inst": "instance-1",
        "jkt": "a" * 43,
        "question": "q" * 43,
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 3600,
        "version": 3,
        "secrets": {"maps": _SECRET},
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"addressee": replace(ADDRESSEE, app="other")}, reasons.APP_MISMATCH),
        ({"addressee": replace(ADDRESSEE, instance="instance-2")}, reasons.INSTANCE_MISMATCH),
        ({"addressee": replace(ADDRESSEE, jkt="b" * 43)}, reasons.JKT_MISMATCH),
        ({"addressee": replace(ADDRESSEE, question="r" * 43)}, reasons.QUESTION_MISMATCH),
        ({"addressee": replace(ADDRESSEE, question="")}, reasons.QUESTION_MISMATCH),
        ({"agree_key": ec.derive_private_key(9, ec.SECP256R1())}, reasons.DECRYPTION_FAILED),
        ({"pinned": frozenset()}, reasons.SERVICE_KEY_NOT_PINNED),
        ({"now": NOON + timedelta(hours=1)}, reasons.EXPIRED),
    ],
)
def test_secrets_for_anybody_or_anything_else_are_refused(change: dict[str, Any], reason: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        _open(**change)
    assert refusal.value.reason is reason
    assert _SECRET not in f"{refusal.value}{refusal.value.detail}{refusal.value.__context__!r}"


def test_secrets_print_without_their_values() -> None:
    assert _SECRET not in repr(_DOCUMENT)
    assert "maps" not in repr(_DOCUMENT)


def test_every_document_is_sealed_under_a_key_of_its_own() -> None:
    draws = iter([bytes([1]) * 48, bytes(12), bytes([2]) * 48, bytes(12)])
    first, second = (
        issue_secrets(
            _DOCUMENT,
            addressee=ADDRESSEE,
            service_key=SERVICE,
            recipient=AGREE.public_key(),
            random=lambda _: next(draws),
        )
        for _ in range(2)
    )
    assert first.split(".")[3] != second.split(".")[3]


def test_more_than_a_document_holds_is_not_issued() -> None:
    document = replace(_DOCUMENT, secrets={"x": "x" * 40_000})
    with pytest.raises(Misuse) as refusal:
        issue_secrets(document, addressee=ADDRESSEE, service_key=SERVICE, recipient=AGREE.public_key(), random=random)
    assert refusal.value.reason is reasons.UNISSUABLE


def test_32_kib_of_secrets_are_issued() -> None:
    """What `django.documents.values` lets in fits, whatever its names and the identity of the app are."""
    secrets = {f"n{index}": "x" * 1000 for index in range(32)}
    secrets["rest"] = "x" * (32 * 1024 - len(json.dumps(secrets, separators=(",", ":"))) - len('"rest":"",'))
    assert len(json.dumps(secrets, separators=(",", ":"))) == 32 * 1024
    addressee = replace(ADDRESSEE, app="a" * 255)
    token = issue_secrets(
        replace(_DOCUMENT, secrets=secrets),
        addressee=addressee,
        service_key=SERVICE,
        recipient=AGREE.public_key(),
        random=random,
    )
    assert _open(token, addressee=addressee).secrets == secrets
