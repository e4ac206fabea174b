"""The glossary as a check: one size a letter, in all arguments."""

import numpy as np
import pytest

import minifcn as mf
from minifcn.ops.checks import fit


def check(x=(2, 5, 6, 3), w=(3, 3, 3, 4), b=(4,)):
    x, w, b = (None if shape is None else np.zeros(shape) for shape in (x, w, b))
    return fit("op", x=(x, "N H W C"), w=(w, "KH KW C K"), b=(b, "K or None"))


def test_tensors_and_arrays_stay_and_lists_become_arrays():
    tensor, array = mf.Tensor(np.zeros((2, 3))), np.zeros(3, np.float32)
    x, y, z = fit("op", x=(tensor, "N C"), y=(array, "C"), z=([1, 2], "N"))
    assert x is tensor and y is array and z.tolist() == [1, 2]
    assert mf.crop([[[[1.0], [2.0]]]], 0, 1, 1, 1).data.tolist() == [[[[2.0]]]]


def test_what_may_be_none_may():
    assert check(b=None)[2] is None
    for needed in ("x", "w"):
        with pytest.raises(TypeError, match=rf"op: {needed}: expected an array \(.*\), received None"):
            check(**{needed: None})


@pytest.mark.parametrize(
    "shapes, match",
    [
        ({"x": (2, 5, 6)}, r"op: x: expected shape \(N, H, W, C\), nothing empty, received \(2, 5, 6\)"),
        ({"w": (3, 3, 3, 0)}, r"op: w: expected shape \(KH, KW, C, K\), nothing empty, received \(3, 3, 3, 0\)"),
        ({"b": (1, 4)}, r"op: b: expected shape \(K\), nothing empty, received \(1, 4\)"),
        ({"w": (3, 3, 5, 4)}, r"op: w: expected C = 3, as in x, received 5"),
        ({"b": (3,)}, r"op: b: expected K = 4, as in w, received 3"),
    ],
)
def test_what_does_not_fit_is_named(shapes, match):
    with pytest.raises(ValueError, match=match):
        check(**shapes)


def test_arrays_of_any_kind_are_compared():
    labels = np.zeros((2, 5, 6), np.uint8)
    fit("op", scores=(np.zeros((2, 5, 6, 3)), "N H W L"), labels=(labels, "N H W"), weight=(None, "L or None"))
    with pytest.raises(ValueError, match="op: labels: expected H = 5, as in scores, received 6"):
        fit("op", scores=(np.zeros((2, 5, 6, 3)), "N H W L"), labels=(labels.swapaxes(1, 2), "N H W"))


def test_a_letter_twice_in_one_argument_is_one_size():
    with pytest.raises(ValueError, match="op: x: expected L = 2, as in x, received 3"):
        fit("op", x=(np.zeros((2, 3)), "L L"))
