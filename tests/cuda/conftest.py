"""Fixtures for the tests of the stand-in for CuPy."""

import pytest
import standin
from standin_helpers import HOST


@pytest.fixture
def xp():
    return standin.CuPy()


@pytest.fixture
def a(xp):
    return xp.asarray(HOST)
