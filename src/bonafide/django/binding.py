"""Credentials bound to the key of the phone they were issued to (PROTOCOL section 8)."""

from __future__ import annotations
