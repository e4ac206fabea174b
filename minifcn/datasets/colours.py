"""What a class is called, and its colour where a set brings none."""

import colorsys
import re
from collections.abc import Sequence

import numpy as np

# Okabe and Ito's seven for the colour-blind; then each the farthest from those before it, void, black and white in
# Oklab, to common sight and to the two kinds of red-green blindness.
_COLOURS = (
    "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 78005a 8700ff 4b4b00 "
    "1e0fc3 c30f96 69d287 9678ff 1ef0ff 964b5a ff3c69 3c3c78 ffa5c3 e13ce1"
)
_NO_THING = {"background", "bg", "none", "nothing", "other", "others", "rest", "unlabelled", "unlabeled"}


def is_background(name: str) -> bool:
    """Whether a first class of this name is what is left of a picture, in any spelling such as _Background_."""
    return re.sub(r"[\W_]+", "", name).lower() in _NO_THING


def palette(classes: Sequence[str]) -> np.ndarray:
    """Return colours that can be told apart, uint8 (L, 3); black for a first class that is the background."""
    colours = [(0, 0, 0)] * is_background(classes[0]) + [tuple(bytes.fromhex(colour)) for colour in _COLOURS.split()]
    for i in range(len(classes) - len(colours)):  # a golden angle on, and paler or darker, each time
        bright = colorsys.hsv_to_rgb(i * 0.618034 % 1, (0.9, 0.5)[i % 2], (0.95, 0.75, 0.55)[i % 3])
        colours.append(tuple(round(255 * x) for x in bright))
    return np.array(colours[: len(classes)], np.uint8)
