"""A phone, the scripted service and the time that they share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bonafide.codec import base64url
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from tests.testing.scripted_service import API, SERVICE_KEY, ScriptedService, Time

BUILD = Build(app="shop", identity="ABCDE12345.com.example.shop")


@dataclass
class World:
    """One phone, one service, one time."""

    time: Time
    service: ScriptedService
    phone: IPhone

    def start(self, **options: Any) -> AppClient:
        """Start the app: a new client on the same phone."""
        return AppClient(
            self.phone,
            api=API,
            service_keys=[SERVICE_KEY.kid],
            clock=self.time.phone,
            sleep=self.time.sleep,
            transport=httpx.MockTransport(self.service.handle),
            **options,
        )


def new_world() -> World:
    """Return a world with a phone on which the app was just installed."""
    time = Time()
    return World(time, ScriptedService(time), IPhone(BUILD, clock=time.phone))


def client_data_of(body: bytes) -> bytes:
    """Return the client data of a message."""
    return base64url.decode(json.loads(body)["client_data"])


def lost_renewal(world: World) -> httpx.Request:
    """Have the client send a renewal that is lost, and return it."""
    caught: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response:
        caught.append(request)
        message = "lost"
        raise httpx.ReadTimeout(message)

    client = AppClient(
        world.phone,
        api=API,
        service_keys=[SERVICE_KEY.kid],
        clock=world.time.phone,
        transport=httpx.MockTransport(lose),
    )
    with pytest.raises(httpx.ReadTimeout):
        client.renew()
    return caught[0]
