"""The four exceptions that leave the core, split by who is at fault.

- `MalformedEvidence`: the bytes are not what they say they are. The sender is at fault.
- `VerificationFailed`: well-formed, but not authentic, not fresh or not acceptable. The sender is at fault.
- `Misuse`: our caller broke a function's contract. The program is at fault.
- `ConfigurationError`: raised at start-up only. The operator is at fault.

A refusal carries a `Reason`; its text is for logs and for the operator, never for the client.
`detail` must never hold a secret, a token, a signature or a whole header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonafide.reasons import Reason


class BonafideError(Exception):
    """Common ancestor, so that one `except` can name all four. It is never raised itself."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        """Keep the `reason`, and a `detail` that is safe to log."""
        if type(self) is BonafideError:
            message = "raise one of the four subclasses"
            raise TypeError(message)
        super().__init__(f"{reason.code}: {detail}" if detail else reason.code)
        self.reason = reason
        self.detail = detail

    @property
    def spec(self) -> str:
        """The standard and section whose demand was not met."""
        return self.reason.spec

    @property
    def status_hint(self) -> int:
        """The HTTP status an adapter should answer with."""
        return self.reason.status


class MalformedEvidence(BonafideError):
    """The bytes do not parse as what they claim to be."""


class VerificationFailed(BonafideError):
    """The input parses, and is not authentic, not fresh, or not acceptable."""


class Misuse(BonafideError):
    """A caller inside the server broke a contract; no input of a client can cause this."""


class ConfigurationError(BonafideError):
    """The configuration cannot be run. Raised while starting, never while serving."""
