"""How a project tests an API that answers only its own app: `pytest --ds settings_ci`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shop.models import Order
from shop.seed import seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    from bonafide.testing.client import AppClient
    from bonafide.testing.iphone import IPhone

PASSWORDS = {name: f"{name}'s password" for name in ("ada", "grace", "alan", "mallory")}


@pytest.fixture
def customers(db: None) -> dict[str, int]:
    return seed(PASSWORDS)


@pytest.fixture
def app(bonafide_connect: Callable[..., AppClient]) -> AppClient:
    """The app as it is built: it signs logins with its hardware key, as routes.toml demands."""
    return bonafide_connect(hardware=["/api/login"])


def log_in(client: AppClient, name: str) -> dict[str, str]:
    answer = client.post("/api/login", json={"username": name, "password": PASSWORDS[name]})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_app_reads_the_configuration_without_a_login(bonafide_client: AppClient) -> None:
    assert bonafide_client.get("/api/config").json()["currency"] == "EUR"


def test_customer_sees_her_account(app: AppClient, customers: dict[str, int]) -> None:
    headers = log_in(app, "ada")
    assert app.get("/api/me", headers=headers).json()["id"] == customers["ada"]


def test_customer_orders_something(app: AppClient, customers: dict[str, int]) -> None:
    headers = log_in(app, "ada")
    answer = app.post("/api/orders", headers=headers, json={"item": "ü", "quantity": 2})
    assert answer.status_code == 201
    assert Order.objects.filter(user=customers["ada"], item="ü").count() == 1


def test_customer_moves_house(app: AppClient, customers: dict[str, int]) -> None:
    headers = log_in(app, "ada") | {"Idempotency-Key": "1"}  # so that the app may repeat it, signed as the route wants
    answer = app.put("/api/me/address", headers=headers, json={"address": "Quai 1"})
    assert answer.json()["address"] == "Quai 1"


def test_script_is_refused(client: Client, customers: dict[str, int]) -> None:
    assert client.get("/api/config", secure=True).status_code in {400, 401}


def test_app_over_real_http(bonafide_connect: Callable[[str], AppClient], live_server: object) -> None:
    assert bonafide_connect(str(live_server)).get("/api/config").status_code == 200


def test_two_phones_are_two_instances(
    bonafide_connect: Callable[..., AppClient], bonafide_iphone: IPhone, customers: dict[str, int]
) -> None:
    first, again = bonafide_connect(), bonafide_connect()
    first.enrol()
    assert again.get("/api/config").status_code == 200
    assert bonafide_iphone.enclave.attest_calls == 1


@pytest.mark.bonafide(app="shop", identity="ABCDE12345.com.example.shop", app_version="0.9", os_version="16.4")
def test_app_of_an_older_build(bonafide_client: AppClient, bonafide_iphone: IPhone) -> None:
    assert bonafide_client.get("/api/config").status_code == 200
    assert (bonafide_iphone.build.app, bonafide_iphone.build.app_version) == ("shop", "0.9")
