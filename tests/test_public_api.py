"""The public API is small, complete, and found without paying for what is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bonafide

MOST_NAMES = 35


def test_public_names_are_few_and_sorted() -> None:
    assert len(bonafide.__all__) <= MOST_NAMES
    assert bonafide.__all__ == sorted(bonafide.__all__, key=str)
    assert len(set(bonafide.__all__)) == len(bonafide.__all__)


@pytest.mark.parametrize("name", bonafide.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(bonafide, name)
    assert value.__doc__
    assert value.__module__.startswith("bonafide.")
    assert name in dir(bonafide)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'verify'"):
        _ = bonafide.verify  # type: ignore[attr-defined]  # that is the point


def test_the_package_alone_imports_no_cryptography_and_no_django() -> None:
    script = (
        "import sys, bonafide; print(sorted({m.partition('.')[0] for m in sys.modules} & {'cryptography', 'django'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_core_imports_neither_django_nor_a_store() -> None:
    script = (
        "import sys, bonafide\nfor name in bonafide.__all__: getattr(bonafide, name)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'django', 'lmdb', 'httpx', 'rest_framework'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
