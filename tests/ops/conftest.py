"""Fixtures for the tests of layers."""

import pytest

from minifcn import cpu


@pytest.fixture(params=["cpu-im2col", "cpu-winograd", "emulated_gpu", "real_gpu"])
def conv_loops(request, set_conv):
    """What `loops` gives, and cpu once for each algorithm of the convolution."""
    place, _, algorithm = request.param.partition("-")
    if place != "cpu":
        return request.getfixturevalue(place)
    set_conv(algorithm)
    return cpu
