"""Reasons of the area `credential`."""

from __future__ import annotations
