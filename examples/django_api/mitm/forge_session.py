"""Make a session for what the proxy saw of an enrolment: right in everything but the key that signs it.

echo '{"client_data": "…", "instance": "…"}' | python forge_session.py
"""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, jwk
from bonafide.keys import ServiceKey
from bonafide.session import Session, issue_session


def forge(client_data: str, instance: str) -> str:
    """Return a session token under a service key of the attacker's, with a session key of his choice."""
    told = json.loads(base64url.decode(client_data))
    now = datetime.now(UTC).replace(microsecond=0)
    session = Session(
        app=told["app"],
        instance=instance,
        jkt=jwk.thumbprint(told["sign_jwk"]),
        challenge=told["challenge"],
        sid=secrets.token_bytes(16),
        key=secrets.token_bytes(32),
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    return issue_session(
        session,
        service_key=ServiceKey.of(ec.generate_private_key(ec.SECP256R1())),
        recipient=jwk.parse_public(told["agree_jwk"]),
        random=secrets.token_bytes,
    )


if __name__ == "__main__":
    sys.stdout.write(forge(**json.load(sys.stdin)))
