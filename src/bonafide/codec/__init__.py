"""Strict, bounded parsers: bytes in, values out, nothing proven but the form."""
