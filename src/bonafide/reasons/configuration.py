"""Reasons of the area `configuration`: the program does not start."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason


def _configuration(code: str, meaning: str, remedy: str, spec: str) -> Reason:
    return Reason(
        code=f"configuration.{code}",
        meaning=meaning,
        honest_cause="A setting that is missing, misspelt or out of date.",
        likely_attack="None: only the operator can cause this.",
        remedy=remedy,
        spec=spec,
        status=500,
    )


ORIGINS_EMPTY: Final = _configuration(
    "origins_empty",
    "No origin is configured, so no request could be admitted.",
    "List the public origins of the API, e.g. https://api.example.com.",
    "PROTOCOL section 4, Target",
)
ORIGIN_MALFORMED: Final = _configuration(
    "origin_malformed",
    "An origin is not `scheme://authority` in lower case without the default port.",
    "Write it as https://api.example.com or http://127.0.0.1:8000.",
    "PROTOCOL section 4, Target",
)
ORIGIN_AMBIGUOUS: Final = _configuration(
    "origin_ambiguous",
    "Two origins share one authority, so Host could not pick one.",
    "Keep the one with the scheme that clients use.",
    "PROTOCOL section 4, Target",
)
ROUTE_MALFORMED: Final = _configuration(
    "route_malformed",
    "A rule of the route table has an unknown key, a wrong type or a contradiction.",
    "The detail names the rule and the key.",
    "PROTOCOL section 6",
)
ROUTE_NOT_BUILT: Final = _configuration(
    "route_not_built",
    "A rule asks for a feature that is not built yet.",
    "Remove the key; ignoring it would leave the route weaker than it reads.",
    "PROTOCOL section 6",
)
UPSTREAM_NOT_SEALING: Final = _configuration(
    "upstream_not_sealing",
    "A rule says `seal`, and its `[[upstream]]` is not declared `seals = true`: it would be answered in clear.",
    "Put Bonafide's middleware beside that API and say `seals = true`, or leave `seal` off; the detail names rules.",
    "PROTOCOL section 5",
)
ROUTE_UNCOVERED: Final = _configuration(
    "route_uncovered",
    "The table enforces, and the URLconf has a URL without a rule.",
    "Run `manage.py bonafide_routes` and write the missing rules.",
    "PROTOCOL section 6",
)
GATE_MALFORMED: Final = _configuration(
    "gate_malformed",
    "The issuer, the audience or the evidence environments that a gate admits are missing.",
    "The detail names the value.",
    "PROTOCOL section 3",
)
TEST_TRUST: Final = _configuration(
    "test_trust",
    "A production configuration trusts test anchors or debug evidence.",
    "Set ENVIRONMENT to staging, development or test, or remove the test trust.",
    "ARCHITECTURE, prohibition 8",
)
ANCHOR_MALFORMED: Final = _configuration(
    "anchor_malformed",
    "A trust anchor is not the self-signed P-384 certificate that its fields describe.",
    "Take the certificate from its publisher and compare its SHA-256; the detail names it.",
    "RFC 5280 section 6.1.1 (d)",
)
KEYS_UNSAFE: Final = _configuration(
    "keys_unsafe",
    "A key file is missing, malformed or readable by others.",
    "chmod 600 the file; the detail names it.",
    "PROTOCOL section 1",
)
SECRET_UNSEALABLE: Final = Reason(
    code="configuration.secret_unsealable",
    meaning="A secret that the database holds for all service hosts does not open under the sealing keys at hand.",
    honest_cause="A host with another sealing key, or a dump that was restored beside a newer key.",
    likely_attack="Writing to the database: a row changed, cut short, or copied over another.",
    remedy="Give every host the same SEALING_KEY. If they have it, find out who wrote to the table.",
    spec="PROTOCOL section 1",
    status=500,
)
SEALING_KEY_UNUSABLE: Final = _configuration(
    "sealing_key_unusable",
    "The sealing key is missing, ambiguous, of a wrong kind, or its token refused the PIN or would hand it out.",
    "The detail names the file or the token; `manage.py bonafide_keys make-sealing-key` makes a missing one.",
    "PROTOCOL section 1",
)
STORE_SCOPE: Final = _configuration(
    "store_scope",
    "The replay store cannot see all the workers that would use it.",
    "Use lmdb for several processes on one host, and Redis for several hosts.",
    "ARCHITECTURE, Scale",
)
STORE_FILESYSTEM: Final = _configuration(
    "store_filesystem",
    "The replay store lies on a network file system, where memory maps are not shared safely.",
    "Put it on a local disk.",
    "ARCHITECTURE, Scale",
)
SETTING_MALFORMED: Final = _configuration(
    "setting_malformed",
    "A setting is unknown, missing or has a wrong type.",
    "The detail names it.",
    "ARCHITECTURE, prohibition 4",
)
