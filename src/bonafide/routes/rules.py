"""Route rules as text: TOML, JSON or Django settings, with a closed set of keys (PROTOCOL section 6)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from bonafide.codec.version import parse
from bonafide.errors import ConfigurationError
from bonafide.http import METHOD
from bonafide.reasons import configuration as reasons
from bonafide.routes.table import Client, Legacy, Route, RouteTable, refuse
from bonafide.terms import Platform, ProofKind, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse_toml(text: str) -> RouteTable:
    """Read a route table from TOML: `[[route]]` tables and nothing else.

    Raises `ConfigurationError` (`configuration.route_malformed`, `configuration.route_not_built`).
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(reasons.ROUTE_MALFORMED, str(error)) from None
    rules = document.pop("route", [])
    if document or not isinstance(rules, list):
        refuse("the file", "only [[route]] tables are known")
    return parse_rules(rules)


def parse_rules(rules: Iterable[object]) -> RouteTable:
    """Read a route table from dicts with the keys of PROTOCOL section 6 (Django settings, JSON).

    Raises as `parse_toml`. An empty table is refused: it would deny, or observe, everything by accident.
    """
    table = RouteTable(_parse_rule(rule) for rule in rules)
    if not len(table):
        refuse("the table", "it has no rule")
    return table


def parse_version(text: str) -> tuple[int, ...]:
    """Read a dotted version, as `codec.version` does.

    Raises `ConfigurationError` (`configuration.route_malformed`).
    """
    version = parse(text)
    if version is None:
        refuse(repr(text), "a version is numbers and dots")
    return version


_SIZE: Final = re.compile(r"([1-9][0-9]{0,9})(B|KiB|MiB|GiB)")
_SIZES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SHARE: Final = re.compile(r"([1-9][0-9]?)%")


def _parse_rule(rule: object) -> Route:
    if not isinstance(rule, Mapping) or not isinstance(rule.get("match"), str):
        refuse(repr(rule), "a rule is a table with a `match`")
    where = rule["match"]
    for key, value in rule.items():
        if key in _NOT_BUILT and ((values := _NOT_BUILT[key]) is None or value in values):
            raise ConfigurationError(reasons.ROUTE_NOT_BUILT, f"{where}: {key} = {value!r} is not built yet")
        if key not in _PARSERS:
            refuse(where, f"unknown key {key!r}")
    if rule.get("client") in ("browser", "open") and (moot := sorted(set(rule) - _KEYS_WITHOUT_PROOF)):
        refuse(where, f"{', '.join(moot)} would read as protection that a {rule['client']} route has not")
    arguments: dict[str, Any] = {}
    for key, value in rule.items():
        name, parse = _PARSERS[key]
        try:
            arguments[name] = parse(value)
        except (ValueError, TypeError, KeyError, AttributeError):
            refuse(where, f"{key} = {value!r} is not what {key} takes")
    if "fresh" in rule:
        arguments.setdefault("proof", ProofKind.HARDWARE)
    return Route(**arguments)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _names(value: object) -> frozenset[str]:
    names = [_text(name) for name in value] if isinstance(value, list | tuple) else []
    if not names or len(set(names)) != len(names):
        raise ValueError
    return frozenset(names)


def _methods(value: object) -> frozenset[str]:
    names = _names(value)
    if not all(METHOD.fullmatch(name) for name in names):
        raise ValueError
    return names


def _mode(value: object) -> float:
    if value in ("enforce", "observe"):
        return float(value == "enforce")
    share = _SHARE.fullmatch(_text(value))
    if share is None:
        raise ValueError
    return int(share[1]) / 100


def _legacy(value: object) -> Legacy:
    if not isinstance(value, Mapping) or set(value) != {"until", "max_share"}:
        raise TypeError
    until, share = value["until"], value["max_share"]
    if isinstance(until, str) and _DATE.fullmatch(until):  # JSON has no dates
        until = date.fromisoformat(until)
    if type(until) is not date or isinstance(share, bool) or not isinstance(share, int | float):
        raise TypeError
    return Legacy(until=until, max_share=float(share))


def _size(value: object) -> int:
    size = _SIZE.fullmatch(_text(value))
    if size is None:
        raise ValueError
    return int(size[1]) * _SIZES[size[2]]


_PARSERS: Final[Mapping[str, tuple[str, Callable[[object], object]]]] = {
    "match": ("match", _text),
    "methods": ("methods", _methods),
    "client": ("client", lambda value: Client(_text(value))),
    "because": ("because", _text),
    "proof": ("proof", lambda value: ProofKind(_text(value))),
    "tier": ("tier", lambda value: Tier(_text(value))),
    "mode": ("enforced_share", _mode),
    "legacy": ("legacy", _legacy),
    "seal": ("seal", _flag),
    "single_use": ("single_use", _flag),
    "max_body": ("max_body", _size),
    "max_age": ("max_age", _whole),
    "fresh": ("fresh", _whole),
    "min_version": ("min_version", lambda value: parse_version(_text(value))),
    "min_os": ("min_os", lambda value: parse_version(_text(value))),
    "platforms": ("platforms", lambda value: frozenset(Platform(name) for name in _names(value))),
    "upgrade": ("upgrade", _flag),
}
_KEYS_WITHOUT_PROOF: Final = frozenset(["match", "methods", "client", "because", "max_body", "upgrade"])
_NOT_BUILT: Final[Mapping[str, tuple[object, ...] | None]] = {
    "client": ("server",),
    "ticket": None,
    "firebase-app-check": None,
}
