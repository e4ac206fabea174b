"""The pictures of training.md: curves of the losses that the page's own code finds, and an exercise's numbers."""

import math
import re

import numpy as np

from minifcn.datasets.transforms import Preprocessing

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
        picture.text(left, bottom + 11, 1, "faint")
        picture.text(left + width, bottom + 11, steps, "faint", "end" if steps > 99 else "middle")
        picture.line([self.at(1, constant), self.at(steps, constant)], "faint", 1, dashed=True)

    def at(self, step, loss):
        across = self.left + self.width * (step - 1) / max(1, self.steps - 1)
        return across, self.bottom - self.height * min(loss, HIGHEST) / HIGHEST

    def curve(self, losses, colour):
        """losses: of the steps 1, 2, 3, ..., up to the first that is no number; or of some steps, step -> loss."""
        losses = losses if isinstance(losses, dict) else dict(enumerate(losses, 1))
        points = []
        for step, loss in losses.items():
            if not math.isfinite(loss):
                break
            points.append(self.at(step, loss))
        self.picture.line(points, colour, 2)
        return points[-1]


def rates(curves, constant) -> str:
    picture = Svg(400, 260)
    plot = Plot(picture, 30, 225, 300, 200, 40, constant)
    for lr, colour in ((0.025, "ink"), (0.05, "ink"), (0.1, "blue"), (0.2, "ink"), (0.4, "orange"), (0.8, "orange")):
        x, y = plot.curve(curves[lr], colour)
        shift = {0.025: -19, 0.2: -15, 0.05: -6, 0.1: 5, 0.4: 14, 0.8: -12}[lr]  # several end side by side
        picture.text(x + 6, y + shift, f"lr {lr:g}", colour, "start", bold=lr == 0.1)
    picture.text(30, 12, "loss", anchor="start")
    picture.text(180, 250, "step")
    return str(picture)


def validation(curves, validated, constant) -> str:
    picture = Svg(400, 240)
    steps = len(curves["healthy"])
    plot = Plot(picture, 30, 205, 290, 180, steps, constant)
    losses = {step: loss for step, (loss, _) in validated.items()}
    for words, seen, colour in (("training", curves["healthy"], "blue"), ("validation", losses, "orange")):
        x, y = plot.curve(seen, colour)
        picture.text(x + 6, y, words, colour, "start")
    best = min(losses, key=losses.get)
    x, y = plot.at(best, losses[best])
    picture.dot(x, y, 4, "orange")
    picture.text(x + 8, y - 26, f"lowest, step {best}", "orange", "start")
    picture.text(30, 12, "loss", anchor="start")
    picture.text(180, 228, "step")
    return str(picture)


def faults(names) -> str:
    curves, constant = names["curves"], names["constant"]
    far = entropy(names["far_labels"])
    panels = [  # title, training, validation, constant
        ("healthy; overfitting late", "healthy", {s: loss for s, (loss, _) in names["validated"].items()}, constant),
        ("rate too low", "rate 0.0001", None, constant),
        ("rate too high: dead", "dead", None, constant),
        ("NaN", "nan", None, constant),
        ("weights tiny: wakes late", "weights tiny", None, constant),
        ("labels do not fit", "mirrored", None, constant),
        ("all background", "background", None, far),
        ("other preprocessing", "healthy", curves["bgr"], constant),
    ]
    picture = Svg(400, 560)
    for i, (title, training, validated, level) in enumerate(panels):
        left, bottom = 20 + 200 * (i % 2), 112 + 138 * (i // 2)
        picture.text(left + 4, bottom - 102, title, anchor="start", bold=True)
        losses = curves[training][: len(validated)] if title == "other preprocessing" else curves[training]
        plot = Plot(picture, left, bottom, 168, 90, len(losses), level)
        x, y = plot.curve(losses, "blue")
        if title == "NaN":
            picture.dot(x, y, 4, "blue")
        if validated:
            plot.curve(validated, "orange")
    return str(picture)


def hidden(names) -> str:
    """Three trainings with a fault each, as numbers: the exercise at the end of the page."""
    x, labels, fresh, train = (names[name] for name in ("x", "labels", "fresh", "train"))
    no_mean, _ = names["batch"](names["TRAIN"], Preprocessing(mean=(0, 0, 0)))
    faults = {  # what it trains on, and what the code that validates makes of the same pictures
        "A": (x, labels, no_mean),
        "B": (x, labels[::-1], x),
        "C": (255 * x, labels, 255 * x),
    }
    words = ("first loss", "loss at step 40", "loss at step 400", "alive", "gradient", "step", "loss, validation code")
    picture = Svg(400, 250)
    for row, word in enumerate(words):
        picture.text(8, 50 + 30 * row, word, anchor="start")
        picture.line([(8, 35 + 30 * row), (392, 35 + 30 * row)], "faint", 1)
    for column, (title, (given, taught, validated)) in enumerate(faults.items()):
        model, opt = fresh(0.1)
        losses = train(model, opt, given, taught)
        found = re.fullmatch(r"alive (.*?) +gradient (\S+) +step (\S+)", names["state"](model, opt))
        alive, gradient, step = (" ".join(words.split()) for words in found.groups())
        numbers = [f"{losses[at - 1]:.3f}" for at in (1, 40, 400)]
        numbers += [alive, gradient, step, f"{names['look'](model, validated, labels)[0]:.2f}"]
        picture.text(190 + 80 * column, 20, title, bold=True)
        for row, number in enumerate(numbers):
            picture.text(190 + 80 * column, 50 + 30 * row, number)
    return str(picture)


def pictures() -> dict[str, str]:
    names = names_of("training")
    return {
        "training_rates.svg": rates(names["curves"], names["constant"]),
        "training_validation.svg": validation(names["curves"], names["validated"], names["constant"]),
        "training_curves.svg": faults(names),
        "training_hidden.svg": hidden(names),
    }
