"""The forms that values of `BONAFIDE` take, each with the words that its documentation and its refusal use.

Rule of this file: a reader takes what the operator wrote and returns the value, or raises `TypeError`,
`ValueError` or `KeyError`. It converts no type silently: `"50"` is not 50, and 1 is not True.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import StrEnum, unique
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Generic, TypeVar

from bonafide.errors import ConfigurationError
from bonafide.stores import addresses
from bonafide.terms import EvidenceEnvironment

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What a value looks like in words, and how it is read."""

    words: str
    read: Callable[[object], T]


@unique
class KeyPlace(StrEnum):
    """Where the keys of the service lie."""

    FILES = "files"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKeyFile:
    """A sealing key in a private file."""

    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKeyToken:
    """A sealing key in a token behind PKCS#11: the module (a shared library), the labels, and the user's PIN."""

    module: Path
    token: str
    label: str
    pin_file: Path


SealingKeyAddress = SealingKeyFile | SealingKeyToken


@dataclass(frozen=True, slots=True, kw_only=True)
class BehindGate:
    """The files of the keys that this API shares with its gates; two for one gate while a key is replaced."""

    key_files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLimits:
    """Requests per minute and client network for each unauthenticated endpoint; None is no limit.

    Of gates only refused asks count, of the console's logins each password.
    """

    challenge: int | None = 600
    instances: int | None = 300
    renewals: int | None = 1200
    gate: int | None = 60
    console: int | None = 20


def one_of(kind: type[E]) -> Form[E]:
    """Take one member of a closed vocabulary, by its text."""
    return Form("one of " + ", ".join(f'"{member}"' for member in kind), lambda value: kind(_text(value)))


def duration(*, least: timedelta, most: timedelta | None = None) -> Form[timedelta]:
    """Take a timedelta, or whole seconds."""
    bounds = f"at least {least}" + ("" if most is None else f", at most {most}")

    def read(value: object) -> timedelta:
        length = value if isinstance(value, timedelta) else timedelta(seconds=_whole(value))
        if length < least or (most is not None and length > most):
            raise ValueError
        return length

    return Form(f"a timedelta or whole seconds, {bounds}", read)


def whole(*, least: int, most: int | None = None) -> Form[int]:
    """Take a whole number."""

    def read(value: object) -> int:
        number = _whole(value)
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    return Form(f"a whole number, at least {least}" + ("" if most is None else f", at most {most}"), read)


def optional(form: Form[T]) -> Form[T | None]:
    """Take None as well."""
    return Form(f"{form.words}; or None", lambda value: None if value is None else form.read(value))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or value != value.strip():
        raise ValueError
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return list(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _path(value: object) -> Path:
    place = value if isinstance(value, Path) else Path(_text(value))
    if not place.is_absolute():  # relative to what differs between a shell and a server
        raise ValueError
    return place


def _network(value: object) -> Network:
    return ip_network(_text(value))


def _replay_store(value: object) -> addresses.ReplayStoreAddress:
    try:
        return addresses.parse_address(_text(value))
    except ConfigurationError:  # it would not name the setting
        raise ValueError from None


def _routes(value: object) -> Path | tuple[Mapping[str, object], ...] | None:
    if value is None:
        return None
    if isinstance(value, str | Path):
        return _path(value)
    rules = _list(value)
    if not all(isinstance(rule, Mapping) for rule in rules):
        raise TypeError
    return tuple(rule for rule in rules if isinstance(rule, Mapping))


def _evidence_environments(value: object) -> frozenset[EvidenceEnvironment]:
    named = frozenset(EvidenceEnvironment(_text(name)) for name in _list(value))
    if not named or EvidenceEnvironment.DEBUG in named:
        raise ValueError
    return named


def _evidence_retention(value: object) -> timedelta | None:
    return None if value == "digest" else duration(least=timedelta(hours=1)).read(value)


def _network_limits(value: object) -> NetworkLimits:
    if not isinstance(value, Mapping) or set(value) - {entry.name for entry in fields(NetworkLimits)}:
        raise ValueError
    return NetworkLimits(**{name: optional(whole(least=1)).read(limit) for name, limit in value.items()})


_MAX_TOKEN_LABEL: Final = 32  # PKCS#11 v2.40, CK_TOKEN_INFO
_MAX_KEY_LABEL: Final = 128


def _sealing_key(value: object) -> SealingKeyAddress:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError
    if "file" in value:
        return SealingKeyFile(file=_path(value["file"]))
    token = value.get("pkcs11")
    if not isinstance(token, Mapping) or set(token) != {entry.name for entry in fields(SealingKeyToken)}:
        raise ValueError
    return SealingKeyToken(
        module=_path(token["module"]),
        token=_short(token["token"], _MAX_TOKEN_LABEL),
        label=_short(token["label"], _MAX_KEY_LABEL),
        pin_file=_path(token["pin_file"]),
    )


def _short(value: object, most: int) -> str:
    label = _text(value)
    if len(label) > most or not label.isprintable():
        raise ValueError
    return label


def _behind_gate(value: object) -> BehindGate:
    if not isinstance(value, Mapping) or set(value) != {"key_files"}:
        raise ValueError
    files = tuple(_path(entry) for entry in _list(value["key_files"]))
    if not files:
        raise ValueError
    return BehindGate(key_files=files)


_UNTIL: Final = re.compile(r"bind_on_first_use until ([0-9]{4}-[0-9]{2}-[0-9]{2})")


def _binding(value: object) -> date | None:
    if not isinstance(value, Mapping) or set(value) != {"existing"}:
        raise ValueError
    if value["existing"] == "refuse":
        return None
    until = _UNTIL.fullmatch(_text(value["existing"]))
    if until is None:
        raise ValueError
    return date.fromisoformat(until[1])


text: Final = Form("a text", _text)
texts: Final = Form("a list of texts", lambda value: tuple(_text(entry) for entry in _list(value)))
flag: Final = Form("True or False", _flag)
path: Final = Form("an absolute path", _path)
paths: Final = Form("a list of absolute paths", lambda value: tuple(_path(entry) for entry in _list(value)))
networks: Final = Form(
    "a list of networks such as 10.0.0.0/8", lambda value: tuple(_network(entry) for entry in _list(value))
)
replay_store: Final = Form(addresses.FORMS, _replay_store)
routes: Final = Form("an absolute path, a list of dicts, or None", _routes)
evidence_environments: Final = Form('a list of "production", "development"', _evidence_environments)
evidence_retention: Final = Form('a timedelta or whole seconds, at least 1:00:00; or "digest"', _evidence_retention)
network_limits: Final = Form(
    "a dict of challenge, instances, renewals, gate, console, each a whole number of at least 1 or None",
    _network_limits,
)
behind_gate: Final = Form('a dict with the key "key_files": a list of absolute paths', _behind_gate)
binding: Final = Form('a dict with the key existing: "refuse" or "bind_on_first_use until YYYY-MM-DD"', _binding)
sealing_key: Final = Form(
    'a dict: {"file": an absolute path}, or {"pkcs11": {"module": an absolute path, "token": a label, '
    '"label": the key\'s, "pin_file": an absolute path}}',
    _sealing_key,
)
sealing_keys: Final = Form(
    "a list of what SEALING_KEY may be", lambda value: tuple(_sealing_key(entry) for entry in _list(value))
)
