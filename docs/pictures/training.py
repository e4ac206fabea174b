"""The pictures of training.md: curves of the losses that the page's own code finds."""

import math

import numpy as np

from ..pages import names_of
from .svg import Svg

HIGHEST = 1.5  # of the losses that are shown


def entropy(labels) -> float:
    shares = np.bincount(labels.ravel()) / labels.size
    return float(-np.sum(shares * np.log(shares)))


class Plot:
    """Losses against steps, in a box of the picture whose lower left corner is (left, bottom)."""

    def __init__(self, picture, left, bottom, width, height, steps, constant):
        self.picture, self.left, self.bottom, self.steps = picture, left, bottom, steps
        self.width, self.height = width, height
        picture.line([(left, bottom - height), (left, bottom), (left + width, bottom)], "faint", 1)
        for loss in (0, 1):
            picture.text(left - 5, self.at(1, loss)[1], loss, "faint", "end")
        picture.line([self.at(1, constant), self.at(steps, constant)], "faint", 1, dashed=True)

    def at(self, step, loss):
        across = self.left + self.width * (step - 1) / max(1, self.steps - 1)
        return across, self.bottom - self.height * min(loss, HIGHEST) / HIGHEST

    def curve(self, losses, colour):
        losses = [*losses]
        if not all(map(math.isfinite, losses)):
            losses = losses[: [*map(math.isfinite, losses)].index(False)]
        self.picture.line([self.at(step, loss) for step, loss in enumerate(losses, 1)], colour, 2)
        return self.at(len(losses), losses[-1])


def rates(curves, constant) -> str:
    picture = Svg(400, 260)
    plot = Plot(picture, 30, 225, 300, 200, 40, constant)
    for lr, colour in ((0.0001, "ink"), (0.001, "ink"), (0.01, "ink"), (0.1, "blue"), (1, "orange")):
        x, y = plot.curve(curves[lr], colour)
        shift = {0.0001: -3, 1: -17}.get(lr, 0)  # these two end side by side
        picture.text(x + 6, y + shift, f"lr {lr:g}".replace("1e-04", "0.0001"), colour, "start", bold=lr == 0.1)
    picture.text(30, 12, "loss", anchor="start")
    picture.text(336, plot.at(1, constant)[1], "constant", "faint", "start")
    picture.text(330, 243, "step 40", anchor="end")
    return str(picture)


def validation(curves, constant) -> str:
    picture = Svg(400, 240)
    plot = Plot(picture, 30, 205, 290, 180, 150, constant)
    for name, words, colour in (("few", "training", "blue"), ("validation", "validation", "orange")):
        x, y = plot.curve(curves[name], colour)
        picture.text(x + 6, y, words, colour, "start")
    best = int(np.argmin(curves["validation"]))
    x, y = plot.at(best + 1, curves["validation"][best])
    picture.dot(x, y, 4, "orange")
    picture.text(x, y - 16, "stop here", "orange")
    picture.text(30, 12, "loss", anchor="start")
    picture.text(320, 223, "step 150", anchor="end")
    return str(picture)


def faults(names) -> str:
    curves, constant = names["curves"], names["constant"]
    panels = [  # title, training, validation, constant
        ("healthy", "healthy", None, constant),
        ("rate too low", 0.0001, None, constant),
        ("dead", 1, None, constant),
        ("NaN", "nan", None, constant),
        ("labels do not fit", "mirrored", None, constant),
        ("all background", "background", None, entropy(names["far_labels"])),
        ("other preprocessing", "bgr training", "bgr", constant),
        ("overfitting", "few", "validation", entropy(names["few_labels"])),
    ]
    picture = Svg(400, 500)
    for i, (title, training, validated, level) in enumerate(panels):
        left, bottom = 20 + 200 * (i % 2), 112 + 124 * (i // 2)
        picture.text(left + 4, bottom - 102, title, anchor="start", bold=True)
        plot = Plot(picture, left, bottom, 168, 90, len(curves[training]), level)
        x, y = plot.curve(curves[training], "blue")
        if title == "NaN":
            picture.dot(x, y, 4, "blue")
        if validated:
            plot.curve(curves[validated], "orange")
    return str(picture)


def pictures() -> dict[str, str]:
    names = names_of("training")
    return {
        "training_rates.svg": rates(names["curves"], names["constant"]),
        "training_validation.svg": validation(names["curves"], entropy(names["few_labels"])),
        "training_curves.svg": faults(names),
    }
