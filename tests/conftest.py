"""Fixtures for all tests."""

import pytest


@pytest.fixture(params=["im2col", "winograd"])
def conv_algorithm(request, monkeypatch):
    """Run a test once for each algorithm of the convolution; a shape that one cannot do falls back to the other."""
    monkeypatch.setenv("MINIFCN_CONV", request.param)
    return request.param
