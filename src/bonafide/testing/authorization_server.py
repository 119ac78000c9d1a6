"""What an app shows somebody else's authorization server: a client attestation for it, and a proof of possession.

    token = attest_for(conversation, device, "https://as.example.com")       # a generator of requests, as all of them
    headers = {"OAuth-Client-Attestation": token, "DPoP": …}                 # combined mode: `testing.dpop.prove`
    headers = {"OAuth-Client-Attestation": token, "OAuth-Client-Attestation-PoP": prove_possession(…)}

Both forms are those of draft-ietf-oauth-attestation-based-client-auth, revision 10, sections 5.1 and 5.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.codec import json
from bonafide.codec.jose import sign_es256
from bonafide.errors import BonafideError
from bonafide.testing.device import renewal_message
from bonafide.testing.hints import AnswerRefused, Refused

if TYPE_CHECKING:
    from collections.abc import Generator

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.testing.conversation import Conversation
    from bonafide.testing.device import Device
    from bonafide.testing.hints import Pause

POP_TYPE: Final = "oauth-client-attestation-pop+jwt"


def attest_for(
    conversation: Conversation, device: Device, audience: str
) -> Generator[httpx.Request | Pause, httpx.Response, str]:
    """Renew for another audience, and return the JWT for it. The device's own attestation and session stay.

    The service has to list `audience` among the app's others. Raises `Refused`, and `AnswerRefused` for an answer that
    is none.
    """
    yield from conversation.make_ready()
    keychain = device.keychain
    enrolled = keychain.enrolled
    if enrolled is None:
        why = "not enrolled"
        raise RuntimeError(why)
    message = renewal_message(device, enrolled.next_challenge, enrolled.instance, audience=audience)
    message.evidence = device.make_assertion(message)
    response = yield conversation.compose(f"/instances/{enrolled.instance}/renewals", message.body())
    if response.status_code != httpx.codes.OK:
        keychain.enrolled = replace(enrolled, next_challenge="")  # whether it was used up, nobody knows
        doing = "renewal for another audience"
        raise Refused(doing, response)
    try:
        answer = json.parse_object(response.content)
        token, following = answer["client_attestation"], answer["next_challenge"]
    except (BonafideError, KeyError) as error:
        raise AnswerRefused(str(error)) from None
    if not isinstance(token, str) or not isinstance(following, str):
        why = "no client attestation"
        raise AnswerRefused(why)
    keychain.enrolled = replace(enrolled, next_challenge=following)
    return token


def prove_possession(
    key: ec.EllipticCurvePrivateKey, *, audience: str, identifier: str, issued_at: int, challenge: str | None = None
) -> str:
    """Return the draft's PoP JWT (section 5.1): `audience` is the issuer identifier of the authorization server."""
    claims: dict[str, object] = {"aud": audience, "jti": identifier, "iat": issued_at}
    if challenge is not None:
        claims["challenge"] = challenge
    return sign_es256({"typ": POP_TYPE, "alg": "ES256"}, json.dump(claims), key)
