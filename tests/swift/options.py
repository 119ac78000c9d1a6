"""What a test asks of its world: the options of the program, and the settings of Bonafide that follow from them."""

from __future__ import annotations

import argparse
import tomllib
from typing import TYPE_CHECKING, Final

from bonafide.terms import EvidenceEnvironment, ProofKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNHINDERED: Final = 1000
"""Enrolments per second that no test reaches by itself."""


def parse_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; an option that is not given leaves the service's own default."""
    parser = argparse.ArgumentParser(prog="python -m tests.swift.world")
    parser.add_argument(
        "--lifetime", type=int, metavar="SECONDS", help="of client attestations: 30 to 3600, by default 300"
    )
    parser.add_argument(
        "--reattest-after", type=int, metavar="SECONDS", help="age of the last assertion that demands one; 0: always"
    )
    parser.add_argument(
        "--environments",
        nargs="+",
        choices=[str(member) for member in EvidenceEnvironment],
        default=[str(EvidenceEnvironment.PRODUCTION)],
        help="from where evidence is admitted, by default production alone",
    )
    parser.add_argument(
        "--route-proof", type=_proof, action="append", default=[], metavar="KIND:MATCH", help="e.g. hardware:/api/me"
    )
    parser.add_argument(
        "--enrolments-per-second", type=int, default=UNHINDERED, metavar="N", help="above it challenges back off"
    )
    parser.add_argument("--proxy", action="store_true", help="put a mitmproxy in front, which obeys the test")
    return parser.parse_args(words)


def _proof(text: str) -> tuple[str, str]:
    kind, _, match = text.partition(":")
    return str(ProofKind(kind)), match


def settings_of(options: argparse.Namespace, *, routes: Path) -> dict[str, object]:
    """Return the keys of BONAFIDE that `options` set, over the table in `routes`. All values are JSON.

    Whole networks are not limited, because all phones of a test share one, and a ban holds from the next request on.
    """
    admitted = [name for name in options.environments if name != EvidenceEnvironment.DEBUG]
    wanted: dict[str, object] = {
        "NETWORK_LIMITS": {"challenge": None, "instances": None, "renewals": None},
        "ENROLMENTS_PER_SECOND": options.enrolments_per_second,
        "REVOCATIONS_EVERY": 0,
        "EVIDENCE_ENVIRONMENTS": admitted or [str(EvidenceEnvironment.PRODUCTION)],
        "UNSAFE_DEBUG_EVIDENCE": str(EvidenceEnvironment.DEBUG) in options.environments,
        "ROUTES": _routes({match: kind for kind, match in options.route_proof}, routes),
    }
    if options.lifetime is not None:
        wanted["CLIENT_ATTESTATION_LIFETIME"] = options.lifetime
    if options.reattest_after is not None:
        wanted["REATTEST_AFTER"] = options.reattest_after
    return wanted


def _routes(proofs: dict[str, str], table: Path) -> list[dict[str, object]]:
    """Return the table's rules with other proofs. A rule that is not there would change nothing, so it stops us."""
    rules: list[dict[str, object]] = tomllib.loads(table.read_text(encoding="utf-8"))["route"]
    absent = proofs.keys() - {rule["match"] for rule in rules}
    if absent:
        message = f"--route-proof: no rule matches {', '.join(sorted(absent))}"
        raise SystemExit(message)
    return [rule | ({"proof": proofs[str(rule["match"])]} if rule["match"] in proofs else {}) for rule in rules]
