"""A gate's own key: a small file, 0600, made once, whose public half the service knows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, json, jwk
from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.keys import PRIVATE_KEY_OCTETS, private_key_from
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCALAR_OCTETS: Final = 32


def read_gate_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the gate's private key, a P-256 JWK with `d`.

    Raises `ConfigurationError` (`configuration.keys_unsafe`) for a file that is missing, malformed or open to others.
    """
    try:
        body = json.parse_object(_read(path))
        scalar = body.pop("d")
        if not isinstance(scalar, str) or len(octets := base64url.decode(scalar)) != _SCALAR_OCTETS:
            raise ValueError
        key = ec.derive_private_key(int.from_bytes(octets), ec.SECP256R1())
        if jwk.from_public(key.public_key()) != body:
            raise ValueError
    except (KeyError, ValueError, MalformedEvidence):
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is not a private JWK on P-256") from None
    return key


def make_gate_key(path: Path, *, random: Callable[[int], bytes] = os.urandom) -> bool:
    """Make the gate's key where there is none yet; tell whether it was made."""
    key = private_key_from(random(PRIVATE_KEY_OCTETS))
    scalar = key.private_numbers().private_value.to_bytes(_SCALAR_OCTETS)
    return private_files.create(path, json.dump({**jwk.from_public(key.public_key()), "d": base64url.encode(scalar)}))


def _read(path: Path) -> bytes:
    try:
        data = private_files.read(path)
    except OSError as error:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path}: {error.strerror}") from None
    if data is None:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is missing: make it with `bonafide gate init`")
    return data
