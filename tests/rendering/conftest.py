"""Mitsuba with a backend that traces programs."""

import pytest

from invopt.rendering import Backend, activate


@pytest.fixture(scope="module")
def mi():
    if activate() is Backend.SCALAR:
        pytest.skip("the scalar backend traces nothing")
    import mitsuba

    return mitsuba
