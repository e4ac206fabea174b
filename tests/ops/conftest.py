"""Fixtures for the tests of layers."""

import pytest

from minifcn import cpu


@pytest.fixture(params=["cpu-im2col", "cpu-winograd", "emulated_gpu", "real_gpu"])
def conv_loops(request, monkeypatch):
    """What `loops` gives, and cpu once for each algorithm of the convolution."""
    place, _, algorithm = request.param.partition("-")
    if place != "cpu":
        return request.getfixturevalue(place)
    monkeypatch.setenv("MINIFCN_CONV", algorithm)
    return cpu
