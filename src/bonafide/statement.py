"""What a gate tells the API behind it: one header, about one request (PROTOCOL section 7).

    Bonafide-Admission: <JWS, HS256, by a key that one gate and one API share>

The statement carries method, authority, target and body digest of the request it is about, and who sent it. An
API that compares them with the request in hand need not trust what lies between gate and API, nor
where a connection comes from. It travels on the inner side only: no client ever sees one.

Where the answer is to be sealed, the statement brings the key for that, sealed itself under the key of its MAC: whoever
sees what passes between gate and API reads no answer with it (ADR 15).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.codec import base64url, json
from bonafide.codec.jose import parse_jws, verify_hs256
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.proof.http_signature import CLIENT_ATTESTATION, digest_of_fields
from bonafide.reasons import jose as jose_reasons
from bonafide.reasons import sealed as sealed_reasons
from bonafide.reasons import statement as reasons
from bonafide.sealing import AnswerKey
from bonafide.session import KEY_OCTETS as ANSWER_KEY_OCTETS
from bonafide.session import SID_OCTETS
from bonafide.terms import EvidenceEnvironment, ProofKind, Tier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bonafide.http import HttpRequest

HEADER: Final = "bonafide-admission"
TYPE: Final = "bonafide-admission+jwt"
KEY_OCTETS: Final = 32
LIFETIME_S: Final = 10
MAX_AHEAD_S: Final = 5
MAX_BYTES: Final = 24 * 1024
"""Room for the largest target in base64url, each of its characters escaped, and then some."""

_ABOUT: Final = ("method", "authority", "target", "route", "client", "record", "fields")
_WHO: Final = ("inst", "jkt", "app", "ident", "ver", "att")

_RECORD_OCTETS: Final = 16
_SEAL_INFO: Final = b"bonafide admission seal"
_SEAL_NONCE: Final = bytes(12)
"""The same for all: each record's key seals once."""

_SEALED_OCTETS: Final = SID_OCTETS + ANSWER_KEY_OCTETS + 16
_SHA256: Final = SHA256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The instance that signed the request, as the gate verified it.

    `attestation` is the SHA-256 (base64url) of the client attestation's text: who holds a text of this
    digest may read from it what the gate verified. `digest` is the covered Content-Digest header value, and
    None exactly where `proof` covers no body.
    """

    instance: str
    jkt: str
    app: str
    identity: str
    environment: EvidenceEnvironment
    tier: Tier
    proof: ProofKind
    app_version: str
    warnings: tuple[str, ...]
    digest: str | None
    attestation: str


class Statement(NamedTuple):
    """A gate's word about one request.

    `sender` is None where nothing was admitted: a route that asks for no proof, or one that only
    observes. `route` is the pattern of the rule and `client` whom that rule is for (`app`, `browser`, `open`);
    `record` is the id under which the operator finds the request. `fields` is `digest_of_fields` of the header fields
    as the gate read them, and empty where nobody was admitted. `answer_key` seals the answer, where somebody was
    admitted and the route says `seal`; else it is None, and the answer is in clear. With a key, `record` is the
    base64url of 16 octets that were drawn for this statement alone.
    """

    method: str
    authority: str
    target: str
    route: str
    client: str
    record: str
    fields: str
    issued_at: datetime
    sender: Sender | None
    answer_key: AnswerKey | None = None

    @property
    def admitted(self) -> bool:
        """Whether an instance proved this request."""
        return self.sender is not None


def digest_of_attestation(token: str) -> str:
    """Return what `Sender.attestation` says of a client attestation's text.

    Raises `UnicodeEncodeError` never: what is not ASCII is taken as its UTF-8, and no gate verified such a text.
    """
    return base64url.encode(sha256(token.encode("utf-8", "surrogatepass")).digest())


def issue(statement: Statement, *, key: bytes) -> str:
    """Return the header's value. `key` is 32 octets, shared by one gate and one API.

    Raises `Misuse` (`jose.key_unfit`, `sealed.key_misused`).
    """
    return Issuer(key).issue(statement)


class Issuer:
    """Issues statements under one key. Threads may share it."""

    def __init__(self, key: bytes) -> None:
        """Take 32 octets, shared by one gate and one API. Raises `Misuse` (`jose.key_unfit`)."""
        if len(key) != KEY_OCTETS:
            raise Misuse(jose_reasons.KEY_UNFIT, "not 32 octets")
        self._key = key
        self._mac = HMAC(key, SHA256())

    def issue(self, statement: Statement, *, spelt: str | None = None) -> str:
        """Return the header's value. `spelt` is `spell(statement.sender)`, where the caller has kept it.

        Raises `Misuse` (`sealed.key_misused`) for a key without a sender, or with a record that is not 16 octets.
        """
        sealed = "" if statement.answer_key is None else f',"k":"{_seal_key(statement, self._key)}"'
        about = (
            f',"method":{_quoted(statement.method)},"authority":{_quoted(statement.authority)}'
            f',"target":{_quoted(statement.target)},"route":{_quoted(statement.route)}'
            f',"client":{_quoted(statement.client)},"record":{_quoted(statement.record)}'
            f',"fields":{_quoted(statement.fields)},"iat":{int(statement.issued_at.timestamp())}{sealed}}}'
        )
        spelt = spelt or spell(statement.sender)
        signing_input = f"{_HEAD}.{spelt}{base64url.encode(about.encode('ascii'))}"
        mac = self._mac.copy()
        mac.update(signing_input.encode("ascii"))
        return f"{signing_input}.{base64url.encode(mac.finalize())}"


def spell(sender: Sender | None) -> str:
    """Return how a payload begins that says who was admitted, in base64url: the same for each request of a sender.

    Text by text, since a general encoder would cost as much as the MAC; with as many spaces at the end as it takes for
    what follows to be encoded by itself.
    """
    text = '{"admitted":false' if sender is None else f'{{"admitted":true,"sender":{{{_members(sender)}}}'
    return base64url.encode(f"{text}{' ' * (-len(text) % 3)}".encode("ascii"))


def _members(sender: Sender) -> str:
    return (
        f'"inst":{_quoted(sender.instance)},"jkt":{_quoted(sender.jkt)},"app":{_quoted(sender.app)}'
        f',"ident":{_quoted(sender.identity)},"env":{_quoted(sender.environment)},"tier":{_quoted(sender.tier)}'
        f',"proof":{_quoted(sender.proof)},"ver":{_quoted(sender.app_version)}'
        f',"warn":[{",".join(map(_quoted, sender.warnings))}],"digest":{_digest(sender.digest)}'
        f',"att":{_quoted(sender.attestation)}'
    )


def _digest(digest: str | None) -> str:
    return "null" if digest is None else _quoted(digest)


def verify(token: str | None, *, keys: Collection[bytes], request: HttpRequest, now: datetime) -> Statement:
    """Verify the statement that came with `request`; `keys` are 32 octets each, two while one is replaced.

    Proves that a gate which shares one of `keys` said this, not more than 10 s ago, of a request with this method,
    authority and target; and where it names a sender, that the client attestation, Authorization, Cookie and
    Content-Type in hand are those that the gate verified, whatever a proxy and two servers make of fields that come
    twice or are not ASCII. An `answer_key` is then the gate's for this request. Does not prove that the body has the
    covered digest (whoever reads it compares), that the headers which the proof does not cover are those that the gate
    saw, nor that the statement is used once.

    Raises `MalformedEvidence` (`statement.malformed`) and `VerificationFailed` (the other reasons of `statement`).
    """
    if not token:
        raise VerificationFailed(reasons.MISSING)
    payload, key = _authentic(token, keys)
    statement, sealed = _parse(payload)
    age = now.timestamp() - statement.issued_at.timestamp()
    if not -MAX_AHEAD_S <= age <= LIFETIME_S:
        raise VerificationFailed(reasons.STALE, f"{age:.0f} s old")
    said = (statement.method, statement.authority, statement.target)
    if said != (request.method, request.origin.authority, request.target):
        raise VerificationFailed(reasons.REQUEST_MISMATCH)
    if statement.sender is not None:
        attestation = digest_of_attestation(request.headers.get(CLIENT_ATTESTATION, ""))
        if not compare_digest(attestation, statement.sender.attestation):
            raise VerificationFailed(reasons.ATTESTATION_MISMATCH)
        if not compare_digest(_fields_in_hand(request).encode(), statement.fields.encode()):
            raise VerificationFailed(reasons.REQUEST_MISMATCH, "Authorization, Cookie or Content-Type")
    return statement if sealed is None else statement._replace(answer_key=_open_key(sealed, statement.record, key))


def _fields_in_hand(request: HttpRequest) -> str:
    try:
        return digest_of_fields(request.headers)
    except MalformedEvidence as error:
        raise VerificationFailed(reasons.REQUEST_MISMATCH, error.reason.code) from None


_JOSE_HEADER: Final = {"alg": "HS256", "typ": TYPE}
_HEAD: Final = base64url.encode(json.dump(_JOSE_HEADER))


def _authentic(token: str, keys: Collection[bytes]) -> tuple[bytes, bytes]:
    """Return the payload, and the key that it was signed with."""
    try:
        jws = parse_jws(token, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.reason.code) from None
    if jws.header != _JOSE_HEADER:
        raise MalformedEvidence(reasons.MALFORMED, "header")
    for key in keys:
        try:
            return verify_hs256(jws, key), key
        except VerificationFailed:
            continue
    raise VerificationFailed(reasons.SIGNATURE_INVALID)


def _seal_key(statement: Statement, key: bytes) -> str:
    """Return the answer's key as the statement brings it: once for each record, which is why the nonce may stand."""
    record, sealed = _octets(statement.record, _RECORD_OCTETS), statement.answer_key
    if record is None or sealed is None or statement.sender is None:
        raise Misuse(sealed_reasons.KEY_MISUSED, "no record of 16 octets, or nobody was admitted")
    cipher = AESGCM(HKDF(_SHA256, KEY_OCTETS, record, _SEAL_INFO).derive(key))
    return base64url.encode(cipher.encrypt(_SEAL_NONCE, sealed.sid + sealed.key, None))


def _open_key(sealed: str, record: str, key: bytes) -> AnswerKey:
    """Return the answer's key. `key` is the one that verified the statement: no other can have sealed it."""
    salt, octets = _octets(record, _RECORD_OCTETS), _octets(sealed, _SEALED_OCTETS)
    if salt is None or octets is None:
        raise MalformedEvidence(reasons.MALFORMED, "k or record")
    try:
        plain = AESGCM(HKDF(_SHA256, KEY_OCTETS, salt, _SEAL_INFO).derive(key)).decrypt(_SEAL_NONCE, octets, None)
    except InvalidTag:
        raise VerificationFailed(reasons.ANSWER_KEY_UNOPENED, "made with another key or for another record") from None
    return AnswerKey(sid=plain[:SID_OCTETS], key=plain[SID_OCTETS:])


def _octets(text: str, size: int) -> bytes | None:
    """Return so many octets from their base64url; None for anything else."""
    try:
        octets = base64url.decode(text)
    except MalformedEvidence:
        return None
    return octets if len(octets) == size else None


def _parse(payload: bytes) -> tuple[Statement, str | None]:
    """Return what a statement says, and the answer's key as it is sealed in it."""
    try:
        body = json.parse_object(payload, max_bytes=MAX_BYTES)
        admitted, sender = body.pop("admitted"), body.pop("sender", None)
        issued, sealed = body.pop("iat"), _pop_sealed(body, sender)
        if type(admitted) is not bool or admitted is not (sender is not None) or type(issued) is not int:
            raise TypeError
        method, authority, target, route, client, record, fields = _texts(body, _ABOUT)
        statement = Statement(
            method=method,
            authority=authority,
            target=target,
            route=route,
            client=client,
            record=record,
            fields=fields,
            issued_at=datetime.fromtimestamp(issued, UTC),
            sender=None if sender is None else _parse_sender(sender),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, MalformedEvidence):
        raise MalformedEvidence(reasons.MALFORMED, "members") from None
    return statement, sealed


def _pop_sealed(body: dict[str, object], sender: object) -> str | None:
    """Take `k` out of the members; None where it is absent, which null is not."""
    if "k" not in body:
        return None
    sealed = body.pop("k")
    if not isinstance(sealed, str) or sender is None or body.get("method") == "HEAD":
        raise TypeError  # nobody was admitted, or the answer has no body to seal
    return sealed


def _parse_sender(body: object) -> Sender:
    if not isinstance(body, dict):
        raise TypeError
    warnings, digest = body.pop("warn"), body.pop("digest")
    environment, tier, proof = body.pop("env"), body.pop("tier"), ProofKind(body.pop("proof"))
    if not isinstance(warnings, list) or not all(isinstance(code, str) for code in warnings):
        raise TypeError
    if proof.covers_body is not isinstance(digest, str) or not isinstance(digest, str | None):
        raise TypeError
    instance, jkt, app, identity, version, attestation = _texts(body, _WHO)
    return Sender(
        instance=instance,
        jkt=jkt,
        app=app,
        identity=identity,
        environment=EvidenceEnvironment(environment),
        tier=Tier(tier),
        proof=proof,
        app_version=version,
        warnings=tuple(warnings),
        digest=digest,
        attestation=attestation,
    )


def _texts(body: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the members of exactly these names, each a text."""
    if body.keys() != set(names):
        raise TypeError
    values = tuple(body[name] for name in names)
    if not all(isinstance(value, str) for value in values):
        raise TypeError
    return values  # type: ignore[return-value]  # each was looked at
