"""A simulator or a CI job: the app without App Attest, vouched for by a debug secret.

Everything that it leads to is marked `debug`; production refuses it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bonafide.evidence.debug import issue_debug_evidence
from bonafide.testing.device import new_keychain

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.evidence.debug import DebugSecret
    from bonafide.testing.device import Build, Evidence, Keychain, PendingMessage

__all__ = ["Simulator"]


class Simulator:
    """A device whose evidence is a MAC by `secret` over the client data. `clock` is its own time in seconds."""

    def __init__(self, build: Build, secret: DebugSecret, *, clock: Callable[[], float]) -> None:
        """Make a simulator on which the app was just installed."""
        self.build = build
        self.keychain: Keychain = new_keychain()
        self._secret = secret
        self._clock = clock

    def new_key(self) -> None:
        """There is no App Attest here."""

    def attest(self, message: PendingMessage) -> Evidence:
        """Vouch for the client data."""
        client_data_hash = hashlib.sha256(message.client_data).digest()
        now = datetime.fromtimestamp(self._clock(), UTC)
        return [issue_debug_evidence(self._secret, client_data_hash=client_data_hash, now=now)]

    def make_assertion(self, message: PendingMessage) -> Evidence:  # noqa: ARG002 - a renewal is proven by `sign` alone
        """Return nothing: renewals of debug instances take no evidence."""
        return []
