"""One admission, against the JWT library and the raw signature that every alternative pays for."""

from __future__ import annotations

import tempfile
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import jwt  # noqa: TID251 - the yardstick
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench._rounds import ROUNDS, Row, compare, interleave, report
from bonafide.admission import Admitted, Gate, PendingAdmission, admit
from bonafide.ports import FirstUse
from bonafide.stores.lmdb import LmdbReplayStore
from tests.gate_world import HARDWARE, ISSUER_KEY, NOW, SIGN, claims, gate, request, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bonafide.http import HttpRequest
    from bonafide.proof.http_signature import HardwareSigner

CALLS = 1000
MILLION = 1_000_000
THOUSAND = 1_000


def run() -> bool:
    """Measure, print, and tell whether every promise holds."""
    with tempfile.TemporaryDirectory(prefix="bonafide-bench-") as directory:
        return report("admission", _rows(Path(directory)))


def _rows(directory: Path) -> list[Row]:
    costs = interleave(_cases(directory), calls=CALLS)
    decode, verify = "jwt.decode (PyJWT, prepared ES256 key)", "P-256 verify (cryptography)"
    small, large = "session proof + LMDB, 1 k live", "session proof + LMDB, 1 M live"
    return [
        compare(costs, decode, versus=verify),
        compare(costs, "session proof, no store", versus=decode, at_most=1 / 8),
        compare(costs, small, versus=decode, at_most=1 / 5),
        compare(costs, "hardware proof + LMDB, 1 k live", versus=verify, at_most=1.5),
        compare(costs, large, versus=small, at_most=1.25),
    ]


def _cases(directory: Path) -> dict[str, Callable[[], object]]:
    at = gate({"match": "/api/config", "methods": ["GET"]}, {"match": "/api/**"})
    text, key = token(), ISSUER_KEY.private_key.public_key()
    small, large = (_filled(directory / str(live), live) for live in (THOUSAND, MILLION))
    message = bytes(900)
    signature, algorithm = SIGN.sign(message, ec.ECDSA(hashes.SHA256())), ec.ECDSA(hashes.SHA256())
    public = SIGN.public_key()

    def decode() -> object:
        return jwt.decode(
            text,
            key,
            algorithms=["ES256"],
            audience=claims().audience,
            issuer=claims().issuer,
            options={"verify_exp": False, "verify_iat": False},
        )

    repeated = cycle(_requests("a", text, count=CALLS))
    first, second = (_requests(mark, text) for mark in "bc")
    hardware = _requests("h", text, signer=HARDWARE)
    return {
        "P-256 verify (cryptography)": lambda: public.verify(signature, message, algorithm),
        "jwt.decode (PyJWT, prepared ES256 key)": decode,
        "session proof, no store": lambda: _settle(admit(next(repeated), gate=at, now=NOW), FirstUse.FIRST),
        "session proof + LMDB, 1 k live": lambda: _admit(next(first), at, small),
        "session proof + LMDB, 1 M live": lambda: _admit(next(second), at, large),
        "hardware proof + LMDB, 1 k live": lambda: _admit(next(hardware), at, small),
    }


def _filled(directory: Path, live: int) -> LmdbReplayStore:
    """Return a store that holds this many live proofs, old enough to vouch for those of now."""
    store = LmdbReplayStore(directory)
    now = NOW.timestamp()
    store.remember(bytes(32), created=int(now) - 100, now=now - 100)
    for number in range(live):
        key = number.to_bytes(8, "big") * 4
        answer = store.remember(_spread(key), created=int(now) - number % 60, now=now)
        if answer is not FirstUse.FIRST:
            message = f"the store answers {answer}"
            raise RuntimeError(message)
    return store


def _spread(octets: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(octets)
    return digest.finalize()


def _requests(
    mark: str, text: str, *, count: int = (ROUNDS + 1) * CALLS, signer: HardwareSigner | None = None
) -> Iterator[HttpRequest]:
    return iter([request(attestation=text, nonce=f"{mark}{number:021d}", signer=signer) for number in range(count)])


def _settle(decision: object, answer: FirstUse) -> Admitted:
    if isinstance(decision, PendingAdmission):
        decision = decision.settle(answer)
    if not isinstance(decision, Admitted):
        message = f"the benchmark measures a refusal: {decision}"
        raise TypeError(message)
    return decision


def _admit(asked: HttpRequest, at: Gate, store: LmdbReplayStore) -> Admitted:
    decision = admit(asked, gate=at, now=NOW)
    answer = FirstUse.UNAVAILABLE
    if isinstance(decision, PendingAdmission):
        answer = store.remember(decision.replay_key, created=decision.created, now=NOW.timestamp())
    return _settle(decision, answer)
