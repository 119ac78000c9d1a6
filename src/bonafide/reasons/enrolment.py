"""Reasons of the area `enrolment`."""

from __future__ import annotations
