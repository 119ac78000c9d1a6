"""One request with its proof, as httpx will send it; and the request that a redirect asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.http import HttpRequest, Origin, encode_target, split_target
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import CLIENT_ATTESTATION, DPOP, parse_proof, sign

if TYPE_CHECKING:
    from bonafide.proof.http_signature import HardwareSigner, SessionSigner

SAFE_METHODS: Final = frozenset(["GET", "HEAD", "OPTIONS"])

OWN_HEADERS: Final = (CLIENT_ATTESTATION, "content-digest", "signature-input", "signature", DPOP)
"""What an attempt puts on a request, and the next one replaces."""

_REDIRECTS_KEPT: Final = frozenset([307, 308])
_REDIRECTS_TO_GET: Final = frozenset([301, 302, 303])


def prove(
    request: httpx.Request,
    signer: HardwareSigner | SessionSigner,
    *,
    attestation: str | None,
    created: int,
    nonce: str,
) -> None:
    """Give a request, whose content is read, its canonical target, digest, client attestation and proof.

    What an earlier attempt left is replaced. Raises `MalformedEvidence` (`request.target_not_canonical`) for
    a URL that has no admitted spelling.
    """
    for name in OWN_HEADERS:
        request.headers.pop(name, None)
    target = canonical_target(request.url)
    request.url = request.url.copy_with(raw_path=target.encode("ascii"))
    if request.url.raw_path != target.encode("ascii"):
        message = f"httpx would not send {target} as it is signed"
        raise RuntimeError(message)
    request.headers["content-digest"] = digest_of((request.content,))
    if attestation is not None:
        request.headers[CLIENT_ATTESTATION] = attestation
    request.headers.update(sign(_as_value(request, target), created=created, nonce=nonce, signer=signer))


def signature_base(request: httpx.Request) -> bytes:
    """Return what the proof of a request signed (RFC 9421 section 2.5): what its answer is an answer to."""
    target = request.url.raw_path.decode("ascii")
    path, query = split_target(target)
    attestation = request.headers.get(CLIENT_ATTESTATION)
    return parse_proof(_as_value(request, target), path=path, query=query, attestation=attestation).base


def _as_value(request: httpx.Request, target: str) -> HttpRequest:
    return HttpRequest(
        method=request.method,
        origin=Origin(scheme=request.url.scheme, authority=request.url.netloc.decode("ascii")),
        target=target,
        headers=dict(request.headers.items()),
    )


def canonical_target(url: httpx.URL) -> str:
    r"""Spell path and query of a URL in the one way that is admitted.

    Raises `MalformedEvidence` (`request.target_not_canonical`) for a URL that has no such spelling: an
    encoded `/`, a `;`, `\`, `%` or control in the path, a doubled slash.
    """
    path, _, query = url.raw_path.decode("ascii").partition("?")
    target = encode_target(_decode_segments(path), query)
    split_target(target)
    return target


def _decode_segments(path: str) -> bytes:
    # An encoded slash stays encoded, so that it is refused instead of becoming two segments.
    return re.sub(
        rb"%([0-9A-Fa-f]{2})",
        lambda escape: escape[0] if escape[1].upper() == b"2F" else bytes([int(escape[1], 16)]),
        path.encode("ascii"),
    )


def redirected(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """Return the request that a redirect asks for, where it stays at the same scheme and authority."""
    if response.status_code not in _REDIRECTS_KEPT | _REDIRECTS_TO_GET or "location" not in response.headers:
        return None
    url = request.url.join(response.headers["location"]).copy_with(fragment=None)
    if (url.scheme, url.netloc, url.userinfo) != (request.url.scheme, request.url.netloc, b""):
        return None
    headers = request.headers.copy()
    if response.status_code in _REDIRECTS_KEPT or request.method in SAFE_METHODS:
        return httpx.Request(request.method, url, headers=headers, content=request.content)
    for name in ("content-type", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return httpx.Request("GET", url, headers=headers)
