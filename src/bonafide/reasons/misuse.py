"""Reasons of the area `misuse`."""

from __future__ import annotations
