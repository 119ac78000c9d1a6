"""A software iPhone with one install of one app: Secure Enclave, keychain, and what befalls phones.

Its evidence comes from a fake Apple. A service believes it only if it trusts that world's anchor, which a
production configuration cannot.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bonafide.codec import base64url
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.device import AttestationUnavailable, KeyUnusable, new_keychain
from bonafide.testing.secure_enclave import InvalidKey, SecureEnclave

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.device import Build, Evidence, Keychain, PendingMessage

__all__ = ["IPhone"]


class IPhone:
    """An iPhone that runs one app (`build`). `enclave.attest_calls` counts calls of `attestKey`.

    `clock` gives the phone's own time in seconds since the epoch, which may be wrong. Apple dates the
    certificates, so `apple_time` is right whatever the phone believes.
    """

    def __init__(
        self,
        build: Build,
        *,
        apple: FakeApple | None = None,
        environment: EvidenceEnvironment = EvidenceEnvironment.PRODUCTION,
        clock: Callable[[], float],
        apple_time: Callable[[], datetime] | None = None,
        validation_category: int = 4,
        ed_flag: bool = False,
    ) -> None:
        """Make a phone on which the app was just installed."""
        self.build = build
        self.keychain: Keychain = new_keychain()
        self.clock = clock
        self.apple_is_busy = 0
        self._apple_time = apple_time or (lambda: datetime.fromtimestamp(clock(), UTC))
        self.enclave = SecureEnclave(
            apple or FakeApple(),
            app_id=build.identity,
            environment=environment,
            ios=build.os_version,
            bundle_version=build.app_version,
            validation_category=validation_category,
            ed_flag=ed_flag,
        )

    def reinstall(self) -> None:
        """Delete the app and install it again: the keychain stays, App Attest keys and running state go."""
        self.enclave.forget_keys()
        self.keychain.enrolled = None

    def restore_onto_new_phone(self) -> None:
        """Move to another phone from a backup: keys of the Secure Enclave do not move, so everything is new."""
        self.enclave.forget_keys()
        self.keychain = new_keychain()

    def new_key(self) -> str:
        """Make an App Attest key and return its id, as `generateKey` does."""
        return self.enclave.generate_key()

    def attest(self, message: PendingMessage) -> Evidence:
        """Have the key attested over the client data, as `attestKey` does.

        Raises `KeyUnusable` for a key that this enclave does not hold or that was attested before,
        `AttestationUnavailable` as often as `apple_is_busy` says.
        """
        if self.apple_is_busy:
            self.apple_is_busy -= 1
            raise AttestationUnavailable
        key_id = message.key or ""
        try:
            attestation = self.enclave.attest_key(key_id, _hash(message), now=self._apple_time())
        except InvalidKey:
            raise KeyUnusable(key_id) from None
        return [{"format": "apple-app-attest", "key_id": key_id, "attestation": base64url.encode(attestation)}]

    def make_assertion(self, message: PendingMessage) -> Evidence:
        """Assert by the attested key over the client data, as `generateAssertion` does.

        Raises `KeyUnusable` where the key has gone.
        """
        key_id = message.key or ""
        try:
            assertion = self.enclave.generate_assertion(key_id, _hash(message))
        except InvalidKey:
            raise KeyUnusable(key_id) from None
        return [{"format": "apple-app-attest-assertion", "assertion": base64url.encode(assertion)}]


def _hash(message: PendingMessage) -> bytes:
    return hashlib.sha256(message.client_data).digest()
