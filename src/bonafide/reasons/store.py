"""Reasons of the area `store`."""

from __future__ import annotations
