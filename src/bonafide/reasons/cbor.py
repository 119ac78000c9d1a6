"""Reasons of the area `cbor`."""

from __future__ import annotations
