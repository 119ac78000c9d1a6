"""Reasons of the area `der`."""

from __future__ import annotations
