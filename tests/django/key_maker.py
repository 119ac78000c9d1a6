"""One of several processes that share keys in a database: started by `test_sealed_secrets`.

For each day it says `ready`, waits for a line, asks for the keys of that day, and prints what it was given.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django

if TYPE_CHECKING:
    from bonafide.keys import KeyRing

NOON: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DAYS: Final = [day * timedelta(days=1) for day in range(0, 71, 2)]
AUDIENCE: Final = "https://api.example.com"


def fingerprint(ring: KeyRing) -> str:
    """Return what two processes compare to know that they hold the same secrets, without sending them about."""
    parts = [f"{scheduled.key.kid}{scheduled.signs_from}" for scheduled in ring.signing]
    parts += [f"{key.kid}{key.secret.hex()}{key.erase_after}" for key in ring.gate]
    return sha256("".join(parts).encode()).hexdigest()


def main() -> None:
    """Live through the days."""
    django.setup()
    from django.db import connections

    from bonafide.django.sealed_secrets import SealedSecrets
    from bonafide.stores.key_rings import AppKeys, ChallengeKeys, ServiceKeys
    from bonafide.stores.sealing_keys.key_file import FileSealingKey
    from bonafide.terms import Environment

    storage = SealedSecrets(Environment.TEST, FileSealingKey(Path(os.environ["BONAFIDE_TEST_SEALING_KEY"])))
    keys = AppKeys(storage, app="shop", audiences=[AUDIENCE])
    for day in DAYS:
        _say("ready")
        sys.stdin.readline()
        now = NOON + day
        ring = keys.current(now)
        _say(
            json.dumps(
                {
                    "fingerprint": fingerprint(ring),
                    "signer": ring.signing_key(now).kid,
                    "published": [key.kid for key in ring.verification_keys(now)],
                    "service": [
                        *ServiceKeys(storage).current().thumbprints,
                        sha256(ChallengeKeys(storage).current().secret).hexdigest(),
                    ],
                }
            )
        )
        connections.close_all()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
