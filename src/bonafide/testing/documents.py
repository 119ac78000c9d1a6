"""Secrets, configuration and pins, as the app's SDK takes them from the service's answers.

Rule of this file: nothing is returned that a pinned service key did not sign for this app, and nothing sealed that does
not answer the request which was sent. Public documents are taken in rising versions, which the keychain remembers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from bonafide import documents
from bonafide.codec import json
from bonafide.documents import Addressee, ConfigurationDocument, PinsDocument, SecretsDocument, question_of
from bonafide.errors import BonafideError
from bonafide.terms import ProofKind
from bonafide.testing.hints import AnswerRefused, Refused
from bonafide.testing.service_answers import read_text
from bonafide.testing.signed_request import signature_base

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.testing.clock import LearnedClock
    from bonafide.testing.device import Device

__all__ = ["Configuration", "DocumentReader"]

PROOFS: Final = {
    "secrets": ProofKind.HARDWARE,
    "configuration": ProofKind.SESSION,
    "pins": ProofKind.SESSION,
}
"""What signs the request for each of them."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What `GET /configuration` brought: values for every app, and those for this instance.

    `sealed` is None where the device has no `agree` key.
    """

    public: ConfigurationDocument
    sealed: ConfigurationDocument | None = field(repr=False)


class DocumentReader:
    """Opens the answers to one app on one device."""

    def __init__(self, device: Device, *, pinned: frozenset[str], clock: LearnedClock) -> None:
        """`pinned` are the thumbprints of the service's keys."""
        self._device = device
        self._pinned = pinned
        self._clock = clock

    def secrets(self, response: httpx.Response) -> SecretsDocument:
        """Return the secrets that answer the request of this response.

        Raises `Refused` for an answer that is a refusal, `AnswerRefused` for anything but what was asked for.
        """
        token = read_text(_members(response, "secrets"), "secrets")
        return self._open(lambda agree_key: documents.open_secrets(
            token, agree_key=agree_key, pinned=self._pinned, addressee=self._addressee(response), now=self._now()
        ))  # fmt: skip

    def configuration(self, response: httpx.Response) -> Configuration:
        """Return the configuration. Raises as `secrets`."""
        answer = _members(response, "configuration")
        seen, token = self._device.keychain.seen_versions, read_text(answer, "public")
        try:
            public = documents.open_public_configuration(
                token,
                pinned=self._pinned,
                app=self._device.build.app,
                seen=seen.get("configuration", 0),
                now=self._now(),
            )
        except BonafideError as error:
            raise AnswerRefused(error.reason.code) from None
        sealed = None
        if self._device.keychain.agree_key is not None:  # then the service can seal, and must have
            sealed_token = read_text(answer, "sealed")
            sealed = self._open(lambda agree_key: documents.open_sealed_configuration(
                sealed_token,
                agree_key=agree_key,
                pinned=self._pinned,
                addressee=self._addressee(response),
                now=self._now(),
            ))  # fmt: skip
        seen["configuration"] = public.validity.version
        return Configuration(public=public, sealed=sealed)

    def pins(self, response: httpx.Response) -> PinsDocument:
        """Return the pins. Raises as `secrets`."""
        token, seen = read_text(_members(response, "pins"), "pins"), self._device.keychain.seen_versions
        try:
            opened = documents.open_pins(
                token, pinned=self._pinned, app=self._device.build.app, seen=seen.get("pins", 0), now=self._now()
            )
        except BonafideError as error:
            raise AnswerRefused(error.reason.code) from None
        seen["pins"] = opened.version
        return opened

    def _open(self, opening: Callable[[ec.EllipticCurvePrivateKey], T]) -> T:
        agree_key = self._device.keychain.agree_key
        if agree_key is None:
            message = "sealed, and this device has no key to open it"
            raise AnswerRefused(message)
        try:
            return opening(agree_key)
        except BonafideError as error:
            raise AnswerRefused(error.reason.code) from None

    def _addressee(self, response: httpx.Response) -> Addressee:
        keychain = self._device.keychain
        if keychain.enrolled is None:
            message = "an answer to an app that has not enrolled"
            raise AnswerRefused(message)
        return Addressee(
            app=self._device.build.app,
            instance=keychain.enrolled.instance,
            jkt=keychain.jkt,
            question=question_of(signature_base(response.request)),  # repeats and redirects are signed anew
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)


def _members(response: httpx.Response, doing: str) -> Mapping[str, object]:
    if response.status_code != httpx.codes.OK:
        raise Refused(doing, response)
    try:
        return json.parse_object(response.content, max_bytes=3 * documents.MAX_BYTES)
    except BonafideError as error:
        raise AnswerRefused(error.reason.code) from None
