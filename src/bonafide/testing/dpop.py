"""One request with a DPoP proof by the `sign` key, as httpx will send it; and the nonce that goes into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.proof import dpop
from bonafide.proof.http_signature import CLIENT_ATTESTATION, DPOP
from bonafide.testing.signed_request import OWN_HEADERS, canonical_target

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric import ec

NONCE_KEPT_S: Final = 240.0
"""How long a nonce is used: a gate's live five minutes, and a refused one costs a request that may not be repeated."""

_NONCE: Final = "dpop-nonce"
_SCHEME: Final = "dpop "


class Nonce:
    """The last nonce that the API handed out."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._text: str | None = None
        self._learned_at = 0.0

    def at(self, now: float) -> str | None:
        """Return the nonce, or None where there is none that would still be taken. `now` in seconds."""
        return self._text if now - self._learned_at < NONCE_KEPT_S else None

    def learn(self, response: httpx.Response, now: float) -> bool:
        """Keep the nonce of an answer. Tell whether it brought one."""
        text = response.headers.get(_NONCE)
        if text is None:
            return False
        self._text, self._learned_at = text, now
        return True


def prove(
    request: httpx.Request,
    key: ec.EllipticCurvePrivateKey,
    *,
    attestation: str | None,
    issued_at: int,
    identifier: str,
    nonce: str | None,
) -> None:
    """Give a request its canonical target, client attestation and DPoP proof (ABCA's combined mode).

    What an earlier attempt left is replaced. An access token in `Authorization: DPoP …` is named in the proof. Raises
    `MalformedEvidence` (`request.target_not_canonical`).
    """
    for name in OWN_HEADERS:
        request.headers.pop(name, None)
    request.url = request.url.copy_with(raw_path=canonical_target(request.url).encode("ascii"))
    if attestation is not None:
        request.headers[CLIENT_ATTESTATION] = attestation
    authorization = request.headers.get("authorization", "")
    bound = authorization[: len(_SCHEME)].lower() == _SCHEME
    request.headers[DPOP] = dpop.prove(
        request.method,
        target_of(request.url),
        key=key,
        issued_at=issued_at,
        identifier=identifier,
        access_token=authorization[len(_SCHEME) :] if bound else None,
        nonce=nonce,
    )


def target_of(url: httpx.URL) -> str:
    """Return a URL as `htu` has it: without query and fragment."""
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    return f"{url.scheme}://{url.netloc.decode('ascii')}{path}"
