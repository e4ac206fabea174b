"""global_average: loops, gradients, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases

import minifcn as mf


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("global_average"), ids=str)
def test_global_average(case, check, loops):
    check(case, loops)


def test_refuses():
    with pytest.raises(ValueError, match=r"global_average: x: expected shape \(N, H, W, C\)"):
        mf.global_average(np.zeros((2, 3, 4)))
