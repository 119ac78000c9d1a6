"""The octets of key files: three closed JSON forms, and nothing that is not exactly one of them.

A file that does not parse stops the program. Nothing is guessed, repaired or made anew in its place: new keys
where old ones are in use would lock every app out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, json
from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.keys import GATE_KEY_OCTETS, GateKey, ScheduledKey, ServiceKey, ServiceRing, SigningKey
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIGNING: Final = "bonafide-signing-keys-1"
GATE: Final = "bonafide-gate-keys-1"
SERVICE: Final = "bonafide-service-key-1"

_PRIVATE_OCTETS: Final = 32
_MAX_BYTES: Final = 1024 * 1024
_MAX_SECONDS: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


def dump_signing_keys(keys: Iterable[ScheduledKey]) -> bytes:
    """Return the content of `signing.json`. Times are kept in whole seconds."""
    entries = [
        {
            "kid": scheduled.key.kid,
            "signs_from": int(scheduled.signs_from.timestamp()),
            "private": _private_text(scheduled.key.private_key),
        }
        for scheduled in keys
    ]
    return json.dump({"form": SIGNING, "keys": entries})


def parse_signing_keys(data: bytes, where: str) -> tuple[ScheduledKey, ...]:
    """Return the keys of `signing.json`, in the order of `signs_from`; `where` names it in a refusal.

    Proves: at least one key, each id is the thumbprint of its key, times rise. Raises
    `ConfigurationError` (`configuration.keys_unsafe`).
    """
    entries = _entries(data, where, form=SIGNING, members={"kid", "signs_from", "private"})
    keys = tuple(
        ScheduledKey(
            key=SigningKey.of(_private_key(entry["private"], where)), signs_from=_time(entry["signs_from"], where)
        )
        for entry in entries
    )
    if not keys or any(entry["kid"] != scheduled.key.kid for entry, scheduled in zip(entries, keys, strict=True)):
        raise _refused(where, "a key id that is not the key's thumbprint, or no key")
    if any(later.signs_from <= earlier.signs_from for earlier, later in pairwise(keys)):
        raise _refused(where, "keys out of order")
    return keys


def dump_gate_keys(keys: Iterable[GateKey]) -> bytes:
    """Return the content of `gate.json`."""
    entries = [
        {
            "kid": key.kid,
            "audience": key.audience,
            "not_before": int(key.not_before.timestamp()),
            "erase_after": int(key.erase_after.timestamp()),
            "secret": base64url.encode(key.secret),
        }
        for key in keys
    ]
    return json.dump({"form": GATE, "keys": entries})


def parse_gate_keys(data: bytes, where: str) -> tuple[GateKey, ...]:
    """Return the keys of `gate.json`; `where` names it in a refusal.

    Proves: ids are unique, secrets have 32 octets. Raises `ConfigurationError` (`configuration.keys_unsafe`).
    """
    members = {"kid", "audience", "not_before", "erase_after", "secret"}
    keys = tuple(
        GateKey(
            kid=_text(entry["kid"], where),
            secret=_octets(entry["secret"], GATE_KEY_OCTETS, where),
            audience=_text(entry["audience"], where),
            not_before=_time(entry["not_before"], where),
            erase_after=_time(entry["erase_after"], where),
        )
        for entry in _entries(data, where, form=GATE, members=members)
    )
    if len({key.kid for key in keys}) != len(keys):
        raise _refused(where, "a key id stands twice")
    return keys


def dump_service_key(ring: ServiceRing, *, spare: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the content of `service.json` as it is first written: the key, and the spare until it is taken out."""
    return json.dump(
        {
            "form": SERVICE,
            "kid": ring.key.kid,
            "private": _private_text(ring.key.private_key),
            "spare": ring.spare,
            "spare_private": _private_text(spare),
        }
    )


def parse_service_key(data: bytes, where: str) -> ServiceRing:
    """Return the ring of `service.json`; `where` names it in a refusal.

    Proves: the id, and the spare's thumbprint while its key lies here, are those of the keys, and
    the two differ. A spare that was taken out is known by its thumbprint alone.

    Raises `ConfigurationError` (`configuration.keys_unsafe`).
    """
    members = _object(data, where, form=SERVICE)
    if members.keys() - {"spare_private"} != {"form", "kid", "private", "spare"}:
        raise _refused(where, "members")
    key = ServiceKey.of(_private_key(members["private"], where))
    spare = _text(members["spare"], where)
    if "spare_private" in members and ServiceKey.of(_private_key(members["spare_private"], where)).kid != spare:
        raise _refused(where, "the spare's thumbprint")
    if members["kid"] != key.kid or spare == key.kid:
        raise _refused(where, "a key id that is not the key's thumbprint, or that is the spare's too")
    return ServiceRing(key=key, spare=spare)


def _object(data: bytes, where: str, *, form: str) -> dict[str, object]:
    try:
        members = json.parse_object(data, max_bytes=_MAX_BYTES)
    except MalformedEvidence as error:
        raise _refused(where, error.detail) from None
    if members.get("form") != form:
        raise _refused(where, f"not the form {form}")
    return members


def _entries(data: bytes, where: str, *, form: str, members: set[str]) -> list[Mapping[str, object]]:
    document = _object(data, where, form=form)
    entries = document.get("keys")
    if document.keys() != {"form", "keys"} or not isinstance(entries, list):
        raise _refused(where, "members")
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != members:
            raise _refused(where, "members of a key")
    return entries


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _refused(where, "not a text")
    return value


def _octets(value: object, size: int, where: str) -> bytes:
    try:
        octets = base64url.decode(_text(value, where))
    except MalformedEvidence:
        raise _refused(where, "not base64url") from None
    if len(octets) != size:
        raise _refused(where, f"not {size} octets")
    return octets


def _private_key(value: object, where: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(_octets(value, _PRIVATE_OCTETS, where), "big")
    try:
        return ec.derive_private_key(scalar, ec.SECP256R1())
    except ValueError:
        raise _refused(where, "not a private key of P-256") from None


def _private_text(key: ec.EllipticCurvePrivateKey) -> str:
    return base64url.encode(key.private_numbers().private_value.to_bytes(_PRIVATE_OCTETS, "big"))


def _time(value: object, where: str) -> datetime:
    if type(value) is not int or not 0 <= value <= _MAX_SECONDS:
        raise _refused(where, "not a time in seconds")
    return datetime.fromtimestamp(value, UTC)


def _refused(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(reasons.KEYS_UNSAFE, f"{where}: {what}")
