"""Pictures of docs/walkthrough/transposed_convolution.md: spreading, checkerboards, tents."""

import numpy as np

import minifcn as mf
from minifcn.sizes import bilinear_kernel

from .svg import Svg


def pictures() -> dict[str, str]:
    made = {"spread": spread(), "checkerboard": checkerboard(), "tents": tents()}
    return {f"transposed_convolution_{name}.svg": str(picture) for name, picture in made.items()}


def spread() -> Svg:
    """Kernel 1 2 3 with stride 2, there and back: the same lines, read in both directions."""
    k, x, CELL = np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0]), 48
    up = mf.conv_transpose2d(x.reshape(1, 1, 3, 1), k.reshape(1, 3, 1, 1), stride=(1, 2)).data.reshape(1, 7)
    ones = np.ones((1, 7))
    down = mf.conv2d(ones.reshape(1, 1, 7, 1), k.reshape(1, 3, 1, 1), stride=(1, 2)).data.reshape(1, 3)
    picture = Svg(400, 400)
    picture.text(200, 18, "convolution: each output gathers three", bold=True)
    one = picture.grid(32, 36, ones, CELL, fill={(0, 2): "faint", (0, 3): "blue", (0, 4): "blue"} | {(0, 2): "blue"})
    out = picture.grid(128, 140, down, CELL, fill={(0, 1): "blue"})
    picture.text(200, 222, "transposed: each input spreads over three", bold=True)
    small = picture.grid(128, 240, x[None], CELL, fill={(0, 1): "orange"})
    large = picture.grid(32, 344, up, CELL, fill={(0, i): "orange" for i in (2, 3, 4)})
    for i in range(3):
        for j in range(3):
            gathers, spreads = ("blue", "orange") if i == 1 else ("faint", "faint")
            (xa, ya), (xb, yb) = one(0, 2 * i + j), out(0, i)
            picture.arrow(xa, ya + 26, xb + 10 * (j - 1), yb - 26, gathers)
            (xa, ya), (xb, yb) = small(0, i), large(0, 2 * i + j)
            picture.arrow(xa + 10 * (j - 1), ya + 26, xb, yb - 26, spreads)
            if i == 1:
                picture.text(xb + (-14, 12, 14)[j], yb - 44, f"x{k[j]:g}", "orange", size=14)
    return picture


def checkerboard() -> Svg:
    """How many inputs reach each output pixel, with stride 2."""
    picture = Svg(400, 232)
    for left, kernel in ((8, 3), (208, 4)):
        ones = np.ones((kernel, kernel, 1, 1))
        counts = mf.conv_transpose2d(np.ones((1, 5, 5, 1)), ones, stride=2).data[0, 2:8, 2:8, 0]
        fill = {(i, j): ("blue", 0.12 * count) for (i, j), count in np.ndenumerate(counts)}
        picture.text(left + 92, 20, f"kernel {kernel}, stride 2", bold=True, size=15)
        picture.grid(left + 2, 40, counts, 30, "ink", fill)
    return picture


def tents() -> Svg:
    """Three scores, spread by tents with stride 4, and the sum."""
    values, s, WIDE, HIGH, BASE = (1.0, 3.0, 2.0), 4, 23, 60, 240
    k, total = bilinear_kernel(s, np.float64), np.zeros((len(values) + 1) * s)
    picture = Svg(400, 300)
    picture.line([(16, BASE), (390, BASE)], "faint")

    def place(i, height):
        return 28 + WIDE * i, BASE - HIGH * height

    for number, value in enumerate(values):
        start = number * s
        total[start : start + 2 * s] += value * k
        corners = [(start - 0.5, 0), (start + s - 0.5, value), (start + 2 * s - 0.5, 0)]
        picture.line([place(*corner) for corner in corners], "blue", dashed=True)
        picture.text(place(start + s - 0.5, 0)[0], BASE + 46, f"{value:g}", "blue", bold=True, size=16)
    picture.line([place(i, height) for i, height in enumerate(total)], "orange", 2)
    for i, height in enumerate(total):
        picture.dot(*place(i, height), 4, "orange")
        picture.text(place(i, 0)[0], BASE + 16, i, size=13)
    picture.line([(40, 20), (76, 20)], "blue", dashed=True)
    picture.text(84, 20, "a score's tent", "blue", "start", 14)
    picture.line([(222, 20), (258, 20)], "orange", 2)
    picture.dot(240, 20, 4, "orange")
    picture.text(266, 20, "sum of the tents", "orange", "start", 14)
    picture.text(16, BASE + 46, "scores", "blue", "start", 13)
    return picture
