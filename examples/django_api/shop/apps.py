"""The shop as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Customers and orders."""

    name = "shop"
