"""Reasons of the area `app_attest`."""

from __future__ import annotations
