"""`bonafide verify`: judge one piece of evidence from a file, as the service would.

Prints the claims and exits with 0, or the reason and exits with 1. Nothing is stored, nothing is sent, and
no freshness is judged beyond the certificates' dates: whether a challenge was spent is the service's to know.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.appraisal import ValidationCategory
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.evidence.app_attest import verify_assertion, verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.trust.apple import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_FILE_BYTES: Final = 1024 * 1024

_ENVIRONMENTS: Final = {
    "production": frozenset({EvidenceEnvironment.PRODUCTION}),
    "development": frozenset({EvidenceEnvironment.DEVELOPMENT}),
    "any": frozenset({EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEVELOPMENT}),
}
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `verify app-attest` and `verify app-assertion`."""
    verify = commands.add_parser("verify", help="judge evidence from a file", description=__doc__)
    formats = verify.add_subparsers(title="formats", metavar="FORMAT", required=True)
    attest = formats.add_parser("app-attest", help="an App Attest attestation")
    attest.add_argument("--attestation", required=True, type=_read_evidence, metavar="FILE")
    attest.add_argument("--key-id", required=True, type=_decode_base64, metavar="B64")
    _add_shared(attest)
    attest.add_argument("--environment", choices=tuple(_ENVIRONMENTS), default="production")
    attest.add_argument("--at", type=_parse_time, metavar="RFC3339", help="judge dates at this time, not now")
    attest.set_defaults(run=_verify_app_attest)
    assertion = formats.add_parser("app-assertion", help="an App Attest assertion")
    assertion.add_argument("--assertion", required=True, type=_read_evidence, metavar="FILE")
    assertion.add_argument("--public-key", required=True, type=_decode_base64, metavar="B64", help="X9.63, 65 octets")
    _add_shared(assertion)
    assertion.add_argument("--last-counter", required=True, type=_parse_counter, metavar="N")
    assertion.set_defaults(run=_verify_app_assertion)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--app-id", required=True, metavar="TEAM.bundle")
    client_data = parser.add_mutually_exclusive_group(required=True)
    client_data.add_argument(
        "--client-data-hash", type=_decode_hex, metavar="HEX", help="what the app handed to Apple, of any length"
    )
    client_data.add_argument(
        "--client-data-file",
        dest="client_data_hash",
        type=_hash_file,
        metavar="FILE",
        help="the client data, of which SHA-256 was handed to Apple",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _verify_app_attest(arguments: argparse.Namespace) -> int:
    def verify() -> Mapping[str, object]:
        claims = verify_attestation(
            arguments.attestation,
            client_data_hash=arguments.client_data_hash,
            key_id=arguments.key_id,
            app_id=arguments.app_id,
            environments=_ENVIRONMENTS[arguments.environment],
            anchors=BUNDLED,
            now=arguments.at or datetime.now(UTC),
        )
        return {**claims.as_json(), "receipt_octets": len(claims.receipt), "receipt_verified": False}

    return _tell(verify, as_json=arguments.json)


def _verify_app_assertion(arguments: argparse.Namespace) -> int:
    def verify() -> Mapping[str, object]:
        return verify_assertion(
            arguments.assertion,
            client_data_hash=arguments.client_data_hash,
            public_key=arguments.public_key,
            app_id=arguments.app_id,
            last_counter=arguments.last_counter,
        ).as_json()

    return _tell(verify, as_json=arguments.json)


def _tell(verify: Callable[[], Mapping[str, object]], *, as_json: bool) -> int:
    """Print what is proven on stdout, or why nothing is on stderr (with --json on stdout as well)."""
    try:
        claims = verify()
    except (MalformedEvidence, VerificationFailed) as refused:
        reason = refused.reason
        lines = [reason.code, reason.meaning, f"Remedy: {reason.remedy}", f"See: {reason.spec}"]
        lines += [f"Detail: {refused.detail}"] * bool(refused.detail)
        print("\n".join(lines), file=sys.stderr)
        if as_json:
            told = {"reason": reason.code, "meaning": reason.meaning, "remedy": reason.remedy, "spec": reason.spec}
            print(json.dumps(told | {"detail": refused.detail}))
        return 1
    if as_json:
        print(json.dumps(claims))
    else:
        print("\n".join(f"{name}: {_spell(name, value)}" for name, value in claims.items()))
    return 0


def _spell(name: str, value: object) -> str:
    """Spell a claim for a terminal: what the app says of itself must not reach it as control characters."""
    if value is None:
        return "-"
    if name == "validation_category" and isinstance(value, int) and value in set(ValidationCategory):
        return f"{value} ({ValidationCategory(value).name.lower()})"
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _misuse(message: str) -> NoReturn:
    """Have argparse answer with the usage and exit code 2."""
    raise argparse.ArgumentTypeError(message)


def _read_evidence(path: str) -> bytes:
    """Read a file that holds the object itself, or its base64 or base64url with any line breaks.

    The object begins with an octet above 0x7F, which no base64 has.
    """
    octets = _read_file(path)
    try:
        return _decode_base64(octets.decode("ascii"))
    except (UnicodeDecodeError, argparse.ArgumentTypeError):
        return octets


def _hash_file(path: str) -> bytes:
    return hashlib.sha256(_read_file(path)).digest()


def _read_file(path: str) -> bytes:
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
    except OSError as failed:
        _misuse(f"{path}: {failed.strerror}")
    if len(octets) > MAX_FILE_BYTES:
        _misuse(f"{path}: more than {MAX_FILE_BYTES} octets")
    return octets


def _decode_base64(text: str) -> bytes:
    """Decode base64 or base64url, padded or not, broken into lines or not."""
    text = "".join(text.split())
    if not _BASE64.fullmatch(text):
        _misuse("neither base64 nor base64url")
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(bare) % 4 == 1:
        _misuse("base64 of an impossible length")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


def _decode_hex(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        _misuse("not pairs of hexadecimal digits")
    return bytes.fromhex(text)


def _parse_time(text: str) -> datetime:
    try:
        if _RFC3339.fullmatch(text.upper()):
            return datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    _misuse("not an RFC 3339 time with a zone, such as 2026-11-01T12:00:00Z")


def _parse_counter(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        _misuse("not a whole number from 0 on")
    return int(text)
