"""The picture of docs/walkthrough/checking_gradients.md: error of a difference against its step.

Only sums, products, quotients and square roots are taken, which every processor rounds alike, so the noise of the small
steps is the same everywhere.
"""

import math

import numpy as np

from .svg import Svg

X = np.linspace(-2, 2, 101)
STEPS = [float(f"{digit}e-{k}") for k in range(1, 13) for digit in (5, 2, 1)]
LEFT, TOP, RIGHT, BOTTOM = 58, 20, 388, 300


def f(x):
    return x / np.sqrt(1 + x * x)


def one_sided(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def place(step, error):
    """Both axes logarithmic: steps 1 to 1e-12 from right to left, errors 1 to 1e-15 downwards."""
    x = RIGHT + math.log10(step) / 12 * (RIGHT - LEFT)
    return x, TOP - math.log10(min(max(error, 1e-15), 1)) / 15 * (BOTTOM - TOP)


def pictures() -> dict[str, str]:
    slope, picture = 1 / ((1 + X * X) * np.sqrt(1 + X * X)), Svg(400, 396)
    for k in range(0, 13, 3):
        x, _ = place(10.0**-k, 1)
        picture.line([(x, TOP), (x, BOTTOM)], "faint", 0.5)
        picture.text(x, BOTTOM + 16, f"1e-{k}" if k else "1")
    for k in range(0, 16, 3):
        _, y = place(1, 10.0**-k)
        picture.line([(LEFT, y), (RIGHT, y)], "faint", 0.5)
        picture.text(LEFT - 8, y, f"1e-{k}" if k else "1", anchor="end")
    picture.text((LEFT + RIGHT) / 2, BOTTOM + 40, "step h")
    picture.text(12, (TOP + BOTTOM) / 2, "largest error", turn=-90)
    kinds = (
        ("one-sided", one_sided, np.float64, f, slope, "ink", True),
        ("central", central, np.float64, f, slope, "blue", False),
        ("central, float32", central, np.float32, f, slope, "orange", False),
        ("central, of 3 x", central, np.float64, lambda x: 3 * x, 3.0, "faint", False),
    )
    for i, (name, difference, dtype, function, truth, colour, dashed) in enumerate(kinds):
        x, y = LEFT + i % 2 * 160, BOTTOM + 64 + i // 2 * 22
        picture.line([(x, y), (x + 28, y)], colour, 2.5, dashed)
        picture.text(x + 36, y, name, anchor="start")
        errors = [float(np.max(abs(difference(function, X.astype(dtype), dtype(h)) - truth))) for h in STEPS]
        points = [place(h, error) for h, error in zip(STEPS, errors, strict=True)]
        picture.line(points, colour, 2.5, dashed)
    return {"checking_gradients_v.svg": str(picture)}
