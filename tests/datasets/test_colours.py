"""Classes without colours get some that can be told apart, and the background is known by its name."""

import numpy as np
import pytest

from minifcn.datasets import colours, voc
from minifcn.figures import VOID_COLOUR

TO_CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
TO_OKLAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
SEEN_BY = {  # Machado, Oliveira and Fernandes 2009, table 1: linear RGB as the red-green blind see it
    "all": np.eye(3),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}


def nearest(colours, sight):
    """The distance in Oklab (white is at 100) of the two colours that look most alike."""
    x = np.asarray(colours) / 255
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    oklab = 100 * np.cbrt(np.clip(linear @ SEEN_BY[sight].T, 0, 1) @ TO_CONES.T) @ TO_OKLAB.T
    return np.min(np.linalg.norm(oklab[:, None] - oklab, axis=2) + 1e9 * np.eye(len(oklab)))


def names(L):
    return [f"class {c}" for c in range(L)]


@pytest.mark.parametrize("sight, least", [("all", 10), ("deuteranopia", 6), ("protanopia", 6)])
def test_twenty_colours_can_be_told_apart(sight, least):
    known = [*colours.palette(names(20)), VOID_COLOUR, (0, 0, 0), (255, 255, 255)]
    assert nearest(known, sight) > least
    assert nearest(voc.palette(21)[1:], sight) < least / 3  # what they replace


def test_more_colours_than_twenty_are_no_worse_than_those_of_voc():
    for L in (30, 60):
        assert nearest(colours.palette(names(L)), "all") > 1.4 * nearest(voc.palette(L + 1)[1:], "all")


def test_any_number_of_classes_has_a_colour_each():
    for L in (1, 2, 20, 21, 22, 255):
        found = colours.palette(names(L))
        assert found.shape == (L, 3) and found.dtype == np.uint8
        assert len({VOID_COLOUR, (0, 0, 0), *map(tuple, found.tolist())}) == L + 2
        np.testing.assert_array_equal(found, colours.palette(names(255))[:L])


def test_a_background_is_black_and_the_others_keep_their_colours():
    found = colours.palette(["_background_", *names(30)])
    assert found[0].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(found[1:21], colours.palette(names(20)))
    assert len(np.unique(found, axis=0)) == 31


def test_a_background_is_known_by_its_name():
    for name in (
        "background",
        "Background",
        "_background_",
        "__BACKGROUND__",
        "back-ground",
        "bg",
        "Unlabelled",
        "other",
    ):
        assert colours.is_background(name), name
    for name in ("road", "sky", "", "背景", "backgrounds of cars", "void", "another"):
        assert not colours.is_background(name), name
