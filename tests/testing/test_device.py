"""What a device says is what the service's own parsers read."""

from __future__ import annotations

import json

from bonafide.codec import jwk
from bonafide.enrolment.messages import parse_enrolment, parse_renewal
from bonafide.testing.device import Build, enrolment_message, renewal_message
from bonafide.testing.iphone import IPhone

BUILD = Build(app="shop", identity="ABCDE12345.com.example.shop", app_version="2.4", os_version="27.0")
INSTANCE = "aW5zdGFuY2UtMDAwMDAwMQ"


def phone() -> IPhone:
    return IPhone(BUILD, clock=lambda: 1_793_534_400.0)


def test_enrolment_is_read_as_it_was_meant() -> None:
    device = phone()
    message = enrolment_message(device, "challenge", device.new_key())
    message.evidence = device.attest(message)
    read = parse_enrolment(message.body())
    assert (read.app, read.identity, read.challenge) == ("shop", BUILD.identity, "challenge")
    assert (read.app_version, read.os_version, read.sdk_version) == ("2.4", "27.0", "0.1")
    assert read.jkt == device.keychain.jkt
    assert device.keychain.agree_key is not None
    assert read.agree_jwk == jwk.from_public(device.keychain.agree_key.public_key())
    assert read.client_data == message.client_data


def test_device_without_an_agree_key_names_none() -> None:
    device = phone()
    device.keychain.agree_key = None
    message = enrolment_message(device, "challenge", device.new_key())
    message.evidence = []
    assert parse_enrolment(message.body()).agree_jwk is None


def test_renewal_is_read_as_it_was_meant() -> None:
    device = phone()
    message = renewal_message(device, "challenge", INSTANCE)
    message.evidence = []
    read = parse_renewal(message.body())
    assert (read.app, read.instance, read.jkt) == ("shop", INSTANCE, device.keychain.jkt)


def test_same_message_is_the_same_octets_each_time() -> None:
    device = phone()
    message = enrolment_message(device, "challenge", device.new_key())
    message.evidence = device.attest(message)
    assert message.body() == message.body()
    assert json.loads(message.client_data)["type"] == "enrol"
