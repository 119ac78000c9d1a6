"""Attacks on the shop's API, each beside its untouched twin, before and after Bonafide."""
