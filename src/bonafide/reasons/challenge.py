"""Reasons of the area `challenge`."""

from __future__ import annotations
