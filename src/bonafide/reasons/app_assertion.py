"""Reasons of the area `app_assertion`."""

from __future__ import annotations
