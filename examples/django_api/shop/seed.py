"""A few customers and orders, so that there is something to take."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from shop.models import Customer, Order

CUSTOMERS = (
    ("ada", "+44 20 7946 0001", "12 St James's Square, London", ("loom", "punched cards")),
    ("grace", "+1 202 555 0102", "5 Navy Yard, Washington", ("nanosecond of wire",)),
    ("alan", "+44 1908 555 003", "Hut 8, Bletchley", ("apples", "bicycle chain")),
    ("mallory", "+1 202 555 0199", "1 Middle Street, Between", ("proxy",)),
)


def seed(passwords: dict[str, str]) -> dict[str, int]:
    """Make the customers, with these passwords and two orders at most; return the id of each."""
    with transaction.atomic():
        return {
            name: _customer(name, phone, address, items, passwords[name]) for name, phone, address, items in CUSTOMERS
        }


def _customer(name: str, phone: str, address: str, items: tuple[str, ...], password: str) -> int:
    user, new = User.objects.get_or_create(username=name, defaults={"email": f"{name}@shop.example"})
    if new:
        user.set_password(password)
        user.save()
        Customer.objects.create(user=user, phone=phone, address=address)
        Order.objects.bulk_create(Order(user=user, item=item, quantity=1) for item in items)
    return user.pk
