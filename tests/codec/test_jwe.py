"""A compact JWE under ECDH-ES and A256GCM opens for its recipient; nothing else does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey

from bonafide.codec import base64url, jwe, jwk
from bonafide.errors import BonafideError, MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from pathlib import Path

_KEY = ec.derive_private_key(20261101, ec.SECP256R1())
_EPHEMERAL = ec.derive_private_key(20261102, ec.SECP256R1())
_IV = bytes(range(12))
_PAYLOAD = b"eyJ.a.b"
_EPK = jwk.from_public(_EPHEMERAL.public_key())
_HEADER = {"alg": "ECDH-ES", "enc": "A256GCM", "epk": _EPK, "cty": "JWT"}
_TOKEN = jwe.encrypt(_PAYLOAD, recipient=_KEY.public_key(), header={"cty": "JWT"}, ephemeral=_EPHEMERAL, iv=_IV)


def _sealed(header: dict[str, Any] | bytes, *, iv: bytes = _IV, key: bytes = b"", cut: int = 16) -> str:
    """Return a token that opens, but for what the test changed: header, IV, encrypted key, length of the tag."""
    octets = header if isinstance(header, bytes) else json.dumps(header).encode()
    protected = base64url.encode(octets)
    content_key = jwe.concat_kdf(_EPHEMERAL.exchange(ec.ECDH(), _KEY.public_key()), algorithm="A256GCM", octets=32)
    sealed = AESGCM(content_key).encrypt(iv, _PAYLOAD, protected.encode())
    parts = (key, iv, sealed[:-16], sealed[-16:][:cut])
    return ".".join((protected, *map(base64url.encode, parts)))


def _refused(token: str) -> BonafideError:
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refusal:
        jwe.decrypt(token, key=_KEY)
    return refusal.value


def test_a_sealed_payload_comes_back_with_its_header() -> None:
    assert jwe.decrypt(_TOKEN, key=_KEY) == (_HEADER, _PAYLOAD)
    assert jwe.decrypt(_sealed(_HEADER), key=_KEY) == (_HEADER, _PAYLOAD)


def test_a_caller_may_describe_the_payload() -> None:
    described = {"typ": "a", "cty": "b", "kid": "c"}
    token = jwe.encrypt(_PAYLOAD, recipient=_KEY.public_key(), header=described, ephemeral=_EPHEMERAL, iv=_IV)
    header, _ = jwe.decrypt(token, key=_KEY)
    assert {name: header[name] for name in described} == described


def test_an_empty_payload_is_sealed_too() -> None:
    token = jwe.encrypt(b"", recipient=_KEY.public_key(), header={}, ephemeral=_EPHEMERAL, iv=_IV)
    assert jwe.decrypt(token, key=_KEY)[1] == b""


def test_the_key_is_derived_as_rfc_7518_appendix_c_prints_it() -> None:
    alice = ec.derive_private_key(_number("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"), ec.SECP256R1())
    bob = {
        "kty": "EC",
        "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    }
    secret = alice.exchange(ec.ECDH(), jwk.parse_public(bob))
    key = jwe.concat_kdf(secret, algorithm="A128GCM", octets=16, apu=b"Alice", apv=b"Bob")
    assert base64url.encode(key) == "VqqN6vgjbSBcIijNcacQGg"


def _number(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def test_the_size_is_bounded_before_anything_is_read() -> None:
    assert jwe.decrypt(_TOKEN, key=_KEY, max_bytes=len(_TOKEN))
    with pytest.raises(MalformedEvidence) as refusal:
        jwe.decrypt(_TOKEN, key=_KEY, max_bytes=len(_TOKEN) - 1)
    assert refusal.value.reason is reasons.JWE_MALFORMED


@pytest.mark.parametrize("token", ["", "....", _TOKEN.rpartition(".")[0], _TOKEN + ".", _TOKEN.replace("..", ".")])
def test_anything_but_five_parts_is_refused(token: str) -> None:
    refusal = _refused(token)
    assert refusal.reason is (reasons.JSON_MALFORMED if token == "...." else reasons.JWE_MALFORMED)


def test_an_encrypted_key_is_refused_where_the_key_is_agreed_on() -> None:
    assert _refused(_sealed(_HEADER, key=bytes(40))).reason is reasons.JWE_MALFORMED


@pytest.mark.parametrize("iv", [bytes(8), bytes(11), bytes(13), bytes(16)])
def test_an_iv_of_another_size_is_refused_although_it_would_open(iv: bytes) -> None:
    assert _refused(_sealed(_HEADER, iv=iv)).reason is reasons.JWE_MALFORMED


@pytest.mark.parametrize("octets", [0, 4, 12, 15])
def test_a_tag_that_is_cut_is_refused(octets: int) -> None:
    assert _refused(_sealed(_HEADER, cut=octets)).reason is reasons.JWE_MALFORMED


def test_a_tag_that_borrows_an_octet_of_the_ciphertext_is_refused() -> None:
    protected, key, iv, ciphertext, tag = _TOKEN.split(".")
    joined = base64url.decode(ciphertext) + base64url.decode(tag)
    token = ".".join((protected, key, iv, base64url.encode(joined[:-17]), base64url.encode(joined[-17:])))
    assert _refused(token).reason is reasons.JWE_MALFORMED


@pytest.mark.parametrize(
    "member",
    [
        {"apu": "QWxpY2U"},
        {"apv": ""},
        {"zip": "DEF"},
        {"crit": ["exp"]},
        {"p2c": 100000},
        {"p2s": "AAAA"},
        {"jwk": _EPK},
        {"jku": "https://example.com"},
        {"x5c": []},
        {"iv": "AAAA"},
        {"tag": "AAAA"},
        {"exp": 1},
    ],
)
def test_a_member_outside_the_profile_is_refused_although_the_token_would_open(member: dict[str, object]) -> None:
    assert _refused(_sealed({**_HEADER, **member})).reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "ECDH-ES+A128KW"},
        {"alg": "dir"},
        {"alg": "A256KW"},
        {"alg": "RSA-OAEP"},
        {"alg": "PBES2-HS256+A128KW"},
        {"alg": "none"},
        {"alg": None},
        {"enc": "A128GCM"},
        {"enc": "A256CBC-HS512"},
        {"enc": ["A256GCM"]},
        {"epk": None},
        {"epk": "AAAA"},
    ],
)
def test_another_algorithm_is_refused_although_the_token_would_open(change: dict[str, object]) -> None:
    assert _refused(_sealed({**_HEADER, **change})).reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize("name", ["alg", "enc", "epk"])
def test_a_header_without_one_of_its_members_is_refused(name: str) -> None:
    header = {key: value for key, value in _HEADER.items() if key != name}
    assert _refused(_sealed(header)).reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "a"},
        {"d": _EPK["x"]},
        {"crv": "P-384"},
        {"y": _EPK["x"]},
        {"x": _EPK["x"] + "="},
    ],
)
def test_an_ephemeral_key_that_is_not_four_members_and_a_point_is_refused(change: dict[str, str]) -> None:
    assert _refused(_sealed({**_HEADER, "epk": {**_EPK, **change}})).reason is reasons.JWK_MALFORMED


def test_a_header_that_stands_in_two_readings_is_refused() -> None:
    octets = json.dumps(_HEADER).encode().replace(b"{", b'{"enc": "A128GCM", ', 1)
    assert _refused(_sealed(octets)).reason is reasons.JSON_MALFORMED


@pytest.mark.parametrize("part", [0, 2, 3, 4])
def test_a_part_in_another_spelling_is_refused(part: int) -> None:
    parts = _TOKEN.split(".")
    parts[part] += "="
    assert _refused(".".join(parts)).reason is reasons.BASE64URL_MALFORMED


def test_what_depends_on_the_private_key_has_one_refusal() -> None:
    header, key, iv, ciphertext, tag = _TOKEN.split(".")
    other = base64url.encode(bytes(16))
    changed = [
        ".".join((_sealed({**_HEADER, "typ": "a"}).split(".")[0], key, iv, ciphertext, tag)),
        ".".join((header, key, other[:16], ciphertext, tag)),
        ".".join((header, key, iv, other[: len(ciphertext)], tag)),
        f"{header}.{key}.{iv}..{tag}",
        f"{header}.{key}.{iv}.{ciphertext}.{other}",
    ]
    refusals = [_refused(token) for token in changed]
    with pytest.raises(VerificationFailed) as wrong_key:
        jwe.decrypt(_TOKEN, key=ec.derive_private_key(5, ec.SECP256R1()))
    assert {str(refusal) for refusal in [*refusals, wrong_key.value]} == {"jose.decryption_failed"}
    assert {type(refusal) for refusal in refusals} == {VerificationFailed}


@pytest.mark.parametrize("iv", [b"", bytes(11), bytes(13)])
def test_an_iv_of_another_size_is_the_sealing_programs_fault(iv: bytes) -> None:
    with pytest.raises(Misuse) as refusal:
        jwe.encrypt(_PAYLOAD, recipient=_KEY.public_key(), header={}, ephemeral=_EPHEMERAL, iv=iv)
    assert refusal.value.reason is reasons.KEY_UNFIT


@pytest.mark.parametrize("name", ["alg", "enc", "epk", "zip", "apu"])
def test_a_caller_cannot_write_the_members_that_steer_decryption(name: str) -> None:
    with pytest.raises(Misuse) as refusal:
        jwe.encrypt(_PAYLOAD, recipient=_KEY.public_key(), header={name: "a"}, ephemeral=_EPHEMERAL, iv=_IV)
    assert refusal.value.reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_keys_of_another_curve_are_the_programs_fault(curve: ec.EllipticCurve) -> None:
    foreign = ec.derive_private_key(5, curve)
    with pytest.raises(Misuse) as refusal:
        jwe.encrypt(_PAYLOAD, recipient=foreign.public_key(), header={}, ephemeral=_EPHEMERAL, iv=_IV)
    assert refusal.value.reason is reasons.KEY_UNFIT
    with pytest.raises(Misuse) as refusal:
        jwe.encrypt(_PAYLOAD, recipient=_KEY.public_key(), header={}, ephemeral=foreign, iv=_IV)
    assert refusal.value.reason is reasons.KEY_UNFIT
    with pytest.raises(Misuse) as refusal:
        jwe.decrypt(_TOKEN, key=foreign)
    assert refusal.value.reason is reasons.KEY_UNFIT


def test_another_library_opens_what_we_seal() -> None:
    opened = joserfc_jwe.decrypt_compact(_TOKEN, ECKey.import_key(_KEY), algorithms=["ECDH-ES", "A256GCM"])
    assert opened.plaintext == _PAYLOAD
    assert opened.protected["cty"] == "JWT"


def test_we_open_what_another_library_seals() -> None:
    token = joserfc_jwe.encrypt_compact(
        {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"},
        _PAYLOAD,
        ECKey.import_key(dict(jwk.from_public(_KEY.public_key()))),
        algorithms=["ECDH-ES", "A256GCM"],
    )
    assert jwe.decrypt(token, key=_KEY)[1] == _PAYLOAD


def test_every_wycheproof_jwe_is_of_another_form_and_refused(shared: Path) -> None:
    """The suite wraps keys (`A256KW`, `ECDH-ES+A128KW`), which no token of ours does, valid or not."""
    groups = json.loads((shared / "vectors/wycheproof/json_web_crypto.json").read_text())["testGroups"]
    tokens = [case["jwe"] for group in groups for case in group["tests"] if isinstance(case.get("jwe"), str)]
    for token in tokens:
        _refused(token)
    assert len(tokens) == 33


def test_every_wycheproof_aes_gcm_case_in_our_form_gets_its_verdict(shared: Path) -> None:
    """Out of form: other sizes than 256 bits of key, 96 of IV, 128 of tag. Another IV or tag is refused before this."""
    groups = json.loads((shared / "vectors/wycheproof/aes_gcm.json").read_text())["testGroups"]
    judged = 0
    for group in groups:
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        for case in group["tests"]:
            judged += 1
            octets = {name: bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")}
            parsed = jwe._Jwe(
                header={},
                epk=_EPHEMERAL.public_key(),
                iv=octets["iv"],
                ciphertext=octets["ct"],
                tag=octets["tag"],
                additional_data=octets["aad"],
            )
            try:
                opened = jwe._open(octets["key"], parsed) == octets["msg"]
            except VerificationFailed:
                opened = False
            assert opened == (case["result"] == "valid"), case["tcId"]
    assert judged == 66


def test_every_wycheproof_ecdh_point_is_agreed_on_or_refused(shared: Path) -> None:
    """A JWK spells the uncompressed point alone: compressed ones, and points of another length, are out of form."""
    (group,) = json.loads((shared / "vectors/wycheproof/ecdh_secp256r1_ecpoint.json").read_text())["testGroups"]
    verdicts = []
    for case in group["tests"]:
        point = bytes.fromhex(case["public"])
        if len(point) != 65 or point[0] != 4:
            verdicts.append("out of form")
            continue
        key = ec.derive_private_key(int(case["private"], 16), ec.SECP256R1())
        coordinates = {"x": base64url.encode(point[1:33]), "y": base64url.encode(point[33:])}
        try:
            shared_secret = key.exchange(ec.ECDH(), jwk.parse_public({"kty": "EC", "crv": "P-256", **coordinates}))
        except MalformedEvidence:
            assert case["result"] == "invalid", case["tcId"]
            verdicts.append("refused")
        else:
            assert case["result"] == "valid", case["tcId"]
            assert shared_secret.hex() == case["shared"], case["tcId"]
            verdicts.append("agreed")
    assert {verdict: verdicts.count(verdict) for verdict in set(verdicts)} == {
        "agreed": 330,
        "refused": 16,
        "out of form": 9,
    }


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.text(alphabet="AZaz09-_.=", max_size=40)
    | st.tuples(st.integers(0, len(_TOKEN) - 1), st.sampled_from("AZaz09-_.= é")).map(
        lambda change: _TOKEN[: change[0]] + change[1] + _TOKEN[change[0] + 1 :]
    )
)
def test_no_other_text_opens_and_only_refusals_are_raised(token: str) -> None:
    try:
        opened = jwe.decrypt(token, key=_KEY)
    except (MalformedEvidence, VerificationFailed):
        pass
    else:
        assert (token, opened) == (_TOKEN, (_HEADER, _PAYLOAD))
