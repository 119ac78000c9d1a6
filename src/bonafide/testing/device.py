"""What a device keeps for an app, and the messages that the app makes of it (PROTOCOL section 2).

Rules of this file: whatever cannot be made again is stored before it is needed (client data and key id
before `attestKey`, the evidence before it is sent), so that a process killed at any point goes on where
it was and calls `attestKey` once. A device is a `Device`; `iphone.IPhone` is the one with App Attest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, json
from bonafide.codec.jwk import from_public, thumbprint

if TYPE_CHECKING:
    from bonafide.session import Session


Evidence = list[Mapping[str, object]]
"""The list `evidence` of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The app as it was built: its name at the service, its App ID, its version, and what it runs on."""

    app: str
    identity: str
    app_version: str = "1.0"
    os_version: str = "18.5"
    sdk_version: str = "0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What enrolment or the last renewal brought. `renew_at` and `expires_at` are seconds since the epoch."""

    instance: str
    client_attestation: str = field(repr=False)
    session: Session | None
    renew_at: float
    expires_at: float
    next_challenge: str


@dataclass(slots=True, kw_only=True)
class PendingMessage:
    """An enrolment or a renewal that has been begun and not been answered: sent again as the same octets.

    `key` names the App Attest key meant for it. `evidence` is None until the device has made it.
    """

    client_data: bytes
    challenge: str
    key: str | None = None
    evidence: Evidence | None = None

    def body(self) -> bytes:
        """Return the body of the request."""
        return json.dump({"client_data": base64url.encode(self.client_data), "evidence": self.evidence})


@dataclass(slots=True)
class Keychain:
    """What survives a killed process, and the app's deletion: two keys, and where enrolment stands.

    Without an `agree` key there is no session, and every proof is by `sign`.
    """

    sign_key: ec.EllipticCurvePrivateKey = field(repr=False)
    agree_key: ec.EllipticCurvePrivateKey | None = field(repr=False)
    attest_key: str | None = None
    enrolment: PendingMessage | None = None
    renewal: PendingMessage | None = None
    enrolled: Enrolled | None = None
    enrolled_again_at: float | None = None

    @property
    def jkt(self) -> str:
        """The thumbprint of the `sign` key."""
        return thumbprint(self.sign_jwk)

    @property
    def sign_jwk(self) -> dict[str, str]:
        """The public `sign` key."""
        return from_public(self.sign_key.public_key())


def new_keychain() -> Keychain:
    """Return a keychain with two new keys, as the Secure Enclave would make them."""
    return Keychain(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))


class Device(Protocol):
    """A device with one install of an app."""

    build: Build
    keychain: Keychain

    def new_key(self) -> str | None:
        """Make the key that the next enrolment is about, and return its id; None without App Attest."""
        ...

    def attest(self, message: PendingMessage) -> Evidence:
        """Make the evidence of an enrolment.

        Raises `KeyUnusable` where the key has gone (a reinstall), `AttestationUnavailable` where the
        platform's service asks to come back later with the same key and the same client data.
        """
        ...

    def make_assertion(self, message: PendingMessage) -> Evidence:
        """Make the evidence of a renewal; empty where the device has none to give."""
        ...


class KeyUnusable(Exception):
    """The platform does not know this key (any more): a new one is needed."""


class AttestationUnavailable(Exception):
    """The platform's service did not answer: repeat later, with the same key and the same client data."""


def enrolment_message(device: Device, challenge: str, key: str | None) -> PendingMessage:
    """Begin an enrolment: the client data that the device will have attested."""
    build, keychain = device.build, device.keychain
    client_data: Mapping[str, object] = {
        "type": "enrol",
        "challenge": challenge,
        "app": build.app,
        "identity": build.identity,
        "sign_jwk": keychain.sign_jwk,
        **({} if keychain.agree_key is None else {"agree_jwk": from_public(keychain.agree_key.public_key())}),
        **_versions(build),
    }
    return PendingMessage(client_data=json.dump(client_data), challenge=challenge, key=key)


def renewal_message(device: Device, challenge: str, instance: str, *, audience: str | None = None) -> PendingMessage:
    """Begin a renewal of `instance`; `audience` is an authorization server's, None for the app's own."""
    client_data: Mapping[str, object] = {
        "type": "renew",
        "challenge": challenge,
        "app": device.build.app,
        "instance": instance,
        "jkt": device.keychain.jkt,
        **({} if audience is None else {"aud": audience}),
        **_versions(device.build),
    }
    return PendingMessage(client_data=json.dump(client_data), challenge=challenge, key=device.keychain.attest_key)


def _versions(build: Build) -> dict[str, str]:
    return {"app_version": build.app_version, "os_version": build.os_version, "sdk_version": build.sdk_version}
