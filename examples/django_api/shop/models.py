"""Customers, their bearer tokens and orders; and how often each view ran."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Customer(models.Model):
    """What the shop knows of a user beyond name and password."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="customer")
    phone = models.CharField(max_length=40)
    address = models.CharField(max_length=200)

    def __str__(self) -> str:
        return str(self.user)


class Bearer(models.Model):
    """A login: SHA-256 of a random bearer token, so that a copy of the database opens no account."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bearers")
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user}, {self.created}"


class Order(models.Model):
    """One order of one customer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="orders")
    item = models.CharField(max_length=100)
    quantity = models.PositiveIntegerField()
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.quantity} x {self.item}"


class ViewRun(models.Model):
    """How often a view's own code ran. The demo reads it to prove that a refused request reached none."""

    view = models.CharField(max_length=40, unique=True)
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.view}: {self.runs}"
