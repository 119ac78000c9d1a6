"""What verified App Attest evidence proves, as values that only the verifiers make."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import der
from bonafide.errors import MalformedEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bonafide.evidence.app_attest.authenticator_data import LaunchExtensions
    from bonafide.terms import EvidenceEnvironment

_OS_VERSION: Final = 1400
_OS_BUILD: Final = 1403
_OS_PLATFORM: Final = 1026
_OS_NUMBERS: Final = frozenset({_OS_VERSION, _OS_BUILD, _OS_PLATFORM})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAttestClaims:
    """What an attestation proves: Apple vouches that this key lives in the Secure Enclave of a device of theirs.

    `public_key` is X9.63 (65 octets), `key_id` its SHA-256. `launch` is what iOS 27 and later say of
    the running app, with None for what is missing. `os_information` (extension .8.7, of which `os_version` and the
    like read what they can) and `key_access_conditions` (extension .8.6, iOS 27, macOS 27) are extensions
    of the leaf certificate as they stand; Apple documents neither.
    `receipt` is **not verified**: nothing in the attestation signs it.
    """

    app_id: str
    key_id: bytes
    public_key: bytes
    environment: EvidenceEnvironment
    launch: LaunchExtensions
    os_information: bytes | None
    key_access_conditions: bytes | None
    leaf_not_before: datetime
    leaf_not_after: datetime
    receipt: bytes

    @property
    def bundle_version(self) -> str | None:
        """CFBundleVersion of the running app, or None before iOS 27."""
        return self.launch.bundle_version

    @property
    def validation_category(self) -> int | None:
        """How the running app was signed and distributed, as a number of Apple's, or None before iOS 27."""
        return self.launch.validation_category

    @property
    def os_version(self) -> str | None:
        """The OS version that Apple certified, such as "27.0"; None where the leaf does not say it."""
        return self._read_os_information().get(_OS_VERSION)

    @property
    def os_build(self) -> str | None:
        """The build of the OS, such as "24A325b"; None before iOS 17."""
        return self._read_os_information().get(_OS_BUILD)

    @property
    def os_platform(self) -> str | None:
        """The platform, such as "iphoneos"; None before iOS 18."""
        return self._read_os_information().get(_OS_PLATFORM)

    def _read_os_information(self) -> Mapping[int, str]:
        """Read an undocumented extension. Apple signed it; a form unknown here says nothing."""
        if self.os_information is None:
            return {}
        try:
            return der.read_tagged_texts(self.os_information, _OS_NUMBERS)
        except MalformedEvidence:
            return {}

    def as_json(self) -> dict[str, object]:
        """Return the claims in JSON types: octets in base64, times in RFC 3339; the receipt is left out."""
        return {
            "app_id": self.app_id,
            "key_id": _base64(self.key_id),
            "public_key": _base64(self.public_key),
            "environment": self.environment.value,
            **self.launch.as_json(),
            "os_version": self.os_version,
            "os_build": self.os_build,
            "os_platform": self.os_platform,
            "key_access_conditions": _base64(self.key_access_conditions),
            "leaf_not_before": self.leaf_not_before.isoformat(),
            "leaf_not_after": self.leaf_not_after.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionClaims:
    """What an assertion proves: the attested key signed this client data hash, inside this app, as use `counter`.

    It does not prove that the counter is still higher than the stored one when it is stored: that is
    one conditional UPDATE of the caller's.
    """

    app_id: str
    counter: int
    launch: LaunchExtensions

    @property
    def bundle_version(self) -> str | None:
        """CFBundleVersion of the running app, or None before iOS 27."""
        return self.launch.bundle_version

    @property
    def validation_category(self) -> int | None:
        """How the running app was signed and distributed, as a number of Apple's, or None before iOS 27."""
        return self.launch.validation_category

    def as_json(self) -> dict[str, object]:
        """Return the claims in JSON types."""
        return {"app_id": self.app_id, "counter": self.counter, **self.launch.as_json()}


def _base64(octets: bytes | None) -> str | None:
    return None if octets is None else base64.b64encode(octets).decode("ascii")
