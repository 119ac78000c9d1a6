"""What the tests of the keys (`test_conf`) do not show of the forms of their values."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bonafide.django import setting_forms as forms


def test_bounds_are_themselves_admitted() -> None:
    form = forms.duration(least=timedelta(seconds=1), most=timedelta(seconds=3))
    assert [form.read(seconds) for seconds in (1, 3)] == [timedelta(seconds=1), timedelta(seconds=3)]
    number = forms.whole(least=1, most=3)
    assert [number.read(value) for value in (1, 3)] == [1, 3]
    for value in (0, 4):
        with pytest.raises(ValueError, match=r"^$"):
            form.read(value)
        with pytest.raises(ValueError, match=r"^$"):
            number.read(value)


def test_words_name_the_bounds() -> None:
    assert forms.whole(least=1, most=3).words == "a whole number, at least 1, at most 3"
    assert forms.whole(least=1).words == "a whole number, at least 1"
    seconds = timedelta(seconds=1)
    assert forms.duration(least=seconds).words == "a timedelta or whole seconds, at least 0:00:01"
    bounded = forms.duration(least=seconds, most=2 * seconds)
    assert bounded.words == "a timedelta or whole seconds, at least 0:00:01, at most 0:00:02"
    assert forms.optional(forms.whole(least=1)).words == "a whole number, at least 1; or None"
