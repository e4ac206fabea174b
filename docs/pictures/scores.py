"""The pictures of scores.md: a class's union on the map and in the matrix, and the matrix of a real network."""

import numpy as np

from ..pages import names_of
from .svg import Svg

CAR = 2


def jaccard(names) -> str:
    labels, predicted, counts = names["labels"], names["predicted"], names["counts"]
    picture = Svg(400, 330)
    fills, words = {}, [[""] * 8 for _ in range(6)]
    for i, j in np.ndindex(labels.shape):
        true, said = labels[i, j] == CAR, predicted[i, j] == CAR
        if true or said:
            fills[i, j] = ("ink", 0.35) if true and said else ("blue" if true else "orange", 0.6)
    picture.text(112, 14, "the car on the map")
    picture.grid(16, 28, words, 24, "faint", fills)
    for k, (colour, opacity, text) in enumerate(
        (("ink", 0.35, "both: 4"), ("blue", 0.6, "missed: 2"), ("orange", 0.6, "false: 1"))
    ):
        picture.rect(250, 50 + 34 * k, 18, 18, None, (colour, opacity))
        picture.text(276, 59 + 34 * k, text, anchor="start")
    picture.text(250, 160, "4 / (4 + 2 + 1) = 0.57", anchor="start")

    fills = {(CAR, j): ("blue", 0.6) for j in range(2)} | {(i, CAR): ("orange", 0.6) for i in range(2)}
    fills[CAR, CAR] = ("ink", 0.35)
    at = picture.grid(100, 220, [[str(n) for n in row] for row in counts.tolist()], (52, 30), fill=fills)
    for k, name in enumerate(("sky", "road", "car")):
        picture.text(92, at(k, 0)[1], name, anchor="end")
        picture.text(at(0, k)[0], 208, name)
    picture.text(178, 190, "the same in the table: said")
    picture.text(30, at(1, 0)[1], "is", anchor="start")
    picture.text(270, at(CAR, 0)[1] - 7, "missed: rest of", "blue", "start", size=12)
    picture.text(270, at(CAR, 0)[1] + 8, "the row", "blue", "start", size=12)
    picture.text(270, at(0, 0)[1], "false: rest of", "orange", "start", size=12)
    picture.text(270, at(0, 0)[1] + 15, "the column", "orange", "start", size=12)
    return str(picture)


def matrix(names) -> str:
    per_cent, classes = names["per_cent"], names["NAMES"]
    picture, cell, left, top = Svg(400, 396), 26, 84, 96
    for i, name in enumerate(classes):
        picture.text(left - 6, top + (i + 0.5) * cell, name, anchor="end")
        picture.text(left + (i + 0.5) * cell, top - 6, name, anchor="start", turn=-60)
    for i, j in np.ndindex(per_cent.shape):
        share = per_cent[i, j]
        fill = ("blue" if i == j else "orange", 0.85 * min(1.0, share / 100)) if share >= 0.5 else None
        picture.rect(left + j * cell, top + i * cell, cell, cell, "faint", fill, thick=0.5)
        if share >= 0.5:
            picture.text(left + (j + 0.5) * cell, top + (i + 0.5) * cell, f"{share:.0f}", size=12)
    picture.text(4, top - 14, "is", anchor="start", bold=True)
    picture.text(left - 6, 40, "said", anchor="end", bold=True)
    return str(picture)


def pictures() -> dict[str, str]:
    names = names_of("scores")
    return {"scores_jaccard.svg": jaccard(names), "scores_camvid.svg": matrix(names)}
