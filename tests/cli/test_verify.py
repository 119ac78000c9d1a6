"""`bonafide verify`: 0 with the claims, 1 with the reason, 2 for a command line that makes no sense."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide.cli import main
from tests.evidence.app_attest.real_evidence import RealAssertion, RealAttestation, assertions, attestations
from tests.vectors.assertions import HASH, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda octets: octets,
    "base64": base64.b64encode,
    "base64_lines": base64.encodebytes,
    "base64_crlf": lambda octets: base64.encodebytes(octets).replace(b"\n", b"\r\n"),
    "base64url": base64.urlsafe_b64encode,
    "base64url_bare": lambda octets: base64.urlsafe_b64encode(octets).rstrip(b"=") + b"\n",
}


def spell(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def app_attest(real: RealAttestation, file: Path, *more: str) -> list[str]:
    return [
        *("verify", "app-attest", "--attestation", str(file)),
        *("--key-id", spell(real.key_id), "--app-id", real.app_id),
        *("--client-data-hash", real.client_data_hash.hex()),
        *("--environment", real.environment.value, "--at", real.now.isoformat()),
        *more,
    ]


def app_assertion(real: RealAssertion, file: Path, *more: str) -> list[str]:
    return [
        *("verify", "app-assertion", "--assertion", str(file)),
        *("--public-key", spell(real.public_key), "--app-id", real.app_id),
        *("--client-data-hash", real.client_data_hash.hex(), "--last-counter", str(real.last_counter)),
        *more,
    ]


def change(words: Sequence[str], option: str, value: str) -> list[str]:
    """Return the command line with another value for one option."""
    at = words.index(option)
    return [*words[: at + 1], value, *words[at + 2 :]]


@pytest.fixture
def attested(shared: Path, tmp_path: Path) -> list[str]:
    """Return the command line of Apple's own sample of iOS 27."""
    real = attestations(shared)[-1]
    file = tmp_path / "attestation"
    file.write_bytes(real.attestation)
    return app_attest(real, file)


@pytest.fixture
def asserted(shared: Path, tmp_path: Path) -> list[str]:
    """Return the command line of a real assertion with counter 3."""
    real = assertions(shared)[0]
    file = tmp_path / "assertion"
    file.write_bytes(real.assertion)
    return app_assertion(real, file)


@pytest.mark.parametrize("form", FORMS)
def test_every_real_attestation_is_accepted_in_every_form(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    for real in attestations(shared):
        file = tmp_path / "attestation"
        file.write_bytes(FORMS[form](real.attestation))
        assert main(app_attest(real, file, "--json")) == 0, real.name
        claims = json.loads(capsys.readouterr().out)
        assert claims["key_id"] == spell(real.key_id)
        assert claims["public_key"] == spell(real.public_key)
        assert claims["environment"] == real.environment.value
        assert claims["os_version"] == real.os_version
        assert claims["receipt_verified"] is False


@pytest.mark.parametrize("form", FORMS)
def test_every_real_assertion_is_accepted_in_every_form(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    for real in assertions(shared):
        file = tmp_path / "assertion"
        file.write_bytes(FORMS[form](real.assertion))
        assert main(app_assertion(real, file, "--json")) == 0, real.name
        claims = json.loads(capsys.readouterr().out)
        assert (claims["app_id"], claims["counter"]) == (real.app_id, real.counter)


def test_claims_are_told_one_a_line(attested: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(attested) == 0
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["app_id"] == "1234567890.com.example.myapp"
    assert told["validation_category"] == "1 (operating_system)"
    assert told["bundle_version"] == "1"
    assert told["code_directory_hash"] == "-"
    assert told["receipt_octets"] == "3977"
    assert told["receipt_verified"] == "False"


def test_a_refusal_names_its_reason_first_and_then_what_to_do(
    attested: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(change(attested, "--app-id", "1234567890.com.example.other")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "app_attest.app_id_mismatch"
    assert lines[2].startswith("Remedy: ")
    assert "step 6" in lines[3]


def test_a_refusal_in_json_is_one_object(attested: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*change(attested, "--environment", "development"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["reason"] == "app_attest.environment_refused"
    assert told["detail"] == "production"
    assert told.keys() == {"reason", "meaning", "remedy", "spec", "detail"}


def test_each_option_of_an_attestation_varied_is_refused_with_its_own_reason(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "attestation"
    for real in attestations(shared):
        file.write_bytes(real.attestation)
        good = app_attest(real, file)
        second = timedelta(seconds=1)
        other = {"production": "development", "development": "production"}[real.environment.value]
        for words, code in (
            (change(good, "--key-id", spell(bytes(32))), "app_attest.key_id_mismatch"),
            (change(good, "--app-id", "A.b"), "app_attest.app_id_mismatch"),
            (change(good, "--client-data-hash", "00"), "app_attest.nonce_mismatch"),
            (change(good, "--environment", other), "app_attest.environment_refused"),
            (change(good, "--at", (real.not_before - second).isoformat()), "app_attest.certificate_not_yet_valid"),
            (change(good, "--at", (real.not_after + second).isoformat()), "app_attest.certificate_expired"),
        ):
            assert main(words) == 1
            assert capsys.readouterr().err.splitlines()[0] == code
        assert main(change(good, "--environment", "any")) == 0
        capsys.readouterr()


def test_each_option_of_an_assertion_varied_is_refused_with_its_own_reason(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, real, signature = tmp_path / "assertion", assertions(shared), "app_assertion.signature_invalid"
    for one, other in zip(real, [*real[1:], real[0]], strict=True):
        file.write_bytes(one.assertion)
        good = app_assertion(one, file)
        for words, code in (
            (app_assertion(replace(one, public_key=_another_key(one, real)), file), signature),
            (change(good, "--public-key", spell(one.public_key[:-1])), "app_assertion.public_key_malformed"),
            (change(good, "--app-id", "A.b"), "app_assertion.app_id_mismatch"),
            (
                change(good, "--client-data-hash", other.client_data_hash.hex() + "00"),
                "app_assertion.signature_invalid",
            ),
            (change(good, "--last-counter", str(one.counter)), "app_assertion.counter_not_increased"),
            (change(good, "--last-counter", str(2**40)), "app_assertion.counter_not_increased"),
        ):
            assert main(words) == 1
            assert capsys.readouterr().err.splitlines()[0] == code


def _another_key(one: RealAssertion, real: Sequence[RealAssertion]) -> bytes:
    return next(other.public_key for other in real if other.public_key != one.public_key)


@pytest.mark.parametrize("content", [b"", b"AAAAA", b"-----BEGIN", b"{}", b"\xff\xff"])
def test_a_file_that_is_no_evidence_is_refused_and_not_misuse(
    attested: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    assert main(change(attested, "--attestation", str(file))) == 1
    assert capsys.readouterr().err.splitlines()[0].startswith(("cbor.", "app_attest.object_malformed"))


def test_client_data_is_hashed_from_its_file(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = json.loads((shared / "vectors/apple/assertions.json").read_text())[0]
    real = assertions(shared)[0]
    evidence, client_data = tmp_path / "assertion", tmp_path / "client_data"
    evidence.write_bytes(real.assertion)
    client_data.write_bytes(base64.b64decode(entry["client_data_b64"]))
    assert hashlib.sha256(client_data.read_bytes()).digest() == real.client_data_hash
    words = app_assertion(real, evidence)
    at = words.index("--client-data-hash")
    words[at : at + 2] = ["--client-data-file", str(client_data)]
    assert main(words) == 0
    client_data.write_bytes(client_data.read_bytes() + b"\n")
    assert main(words) == 1
    assert capsys.readouterr().err.splitlines()[0] == "app_assertion.signature_invalid"


def test_evidence_is_read_from_standard_input(
    attested: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    octets = Path(attested[attested.index("--attestation") + 1]).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert main(change(attested, "--attestation", "-")) == 0
    assert "environment: production" in capsys.readouterr().out


def test_a_key_id_in_base64url_may_begin_with_a_dash(attested: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    spelt = base64.urlsafe_b64encode(b"\xf8" + bytes(31)).decode().rstrip("=")
    assert spelt.startswith("-")
    assert main(change(attested, "--key-id", spelt)) == 1
    assert capsys.readouterr().err.splitlines()[0] == "app_attest.key_id_mismatch"


def test_dates_are_judged_now_where_no_time_is_given(attested: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    at = attested.index("--at")
    assert main(attested[:at] + attested[at + 2 :]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "app_attest.certificate_expired"  # since April 2026


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--attestation", "/nonexistent/file"),
        ("--attestation", "/"),
        ("--key-id", "not base64!"),
        ("--key-id", "AAAAA"),
        ("--client-data-hash", ""),
        ("--client-data-hash", "0"),
        ("--client-data-hash", "0x00"),
        ("--client-data-hash", "00 00"),
        ("--client-data-hash", "zz"),
        ("--environment", "debug"),
        ("--environment", ""),
        ("--at", "2026-04-21"),
        ("--at", "2026-04-21T18:13:12"),
        ("--at", "2026-13-21T18:13:12Z"),
        ("--at", "yesterday"),
    ],
)
def test_a_value_that_cannot_be_meant_is_misuse(
    attested: list[str], capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(change(attested, option, value)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert option in err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--last-counter", "-1"), ("--last-counter", "one"), ("--last-counter", "1.0"), ("--public-key", "x")],
)
def test_a_value_of_an_assertion_that_cannot_be_meant_is_misuse(
    asserted: list[str], capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(change(asserted, option, value)) == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--attestation", "--key-id", "--app-id", "--client-data-hash"])
def test_a_missing_option_is_misuse(attested: list[str], capsys: pytest.CaptureFixture[str], option: str) -> None:
    at = attested.index(option)
    assert main(attested[:at] + attested[at + 2 :]) == 2
    assert option in capsys.readouterr().err


def test_client_data_is_given_in_one_way_only(attested: list[str], tmp_path: Path) -> None:
    file = tmp_path / "client_data"
    file.write_bytes(b"x")
    assert main([*attested, "--client-data-file", str(file)]) == 2


def test_a_file_too_large_to_be_evidence_is_not_read_whole(attested: list[str], tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(1024 * 1024 + 1))
    assert main(change(attested, "--attestation", str(file))) == 2


def test_what_an_app_says_of_itself_reaches_no_terminal_as_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = Signer()
    signer.phone.bundle_version = "1\x1b[2J"
    file = tmp_path / "assertion"
    file.write_bytes(signer.assertion())
    real = RealAssertion(
        name="",
        assertion=b"",
        client_data_hash=HASH,
        public_key=signer.phone.public_key(signer.key),
        app_id=signer.phone.app_id,
        counter=3,
        last_counter=0,
    )
    assert main(app_assertion(real, file)) == 0
    assert "bundle_version: '1\\x1b[2J'" in capsys.readouterr().out
