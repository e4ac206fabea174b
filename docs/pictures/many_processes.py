"""Data-parallel training: one step of two ranks, and the ring by which four ranks add up."""

from operator import itemgetter

import numpy as np

from docs.pages import names_of
from docs.pictures.svg import Svg

RANKS = 4


def step() -> Svg:
    """Two ranks, their pictures, their gradients, the sum."""
    labels, share, labelled, g0, g1 = itemgetter("labels", "share", "labelled", "g0", "g1")(names_of("many_processes"))
    picture = Svg(400, 372)
    for rank, g in enumerate((g0, g1)):
        middle = 100 + 200 * rank
        picture.text(middle, 14, f"rank {rank}", bold=True)
        picture.grid(middle - 40, 30, [["ab", "cd"][rank]], cell=40, fill="blue")
        picture.text(middle, 86, f"{labelled(labels[share(rank, 2)])} labelled pixels", "faint")
        picture.arrow(middle, 98, middle, 132, "blue")
        picture.grid(middle - 84, 134, [[f"{value:.3f}" for value in g]], cell=(56, 30), fill="blue")
        picture.text(middle, 178, "its gradient of score.bias")
        for other in (100, 300):
            picture.arrow(middle, 190, other + (middle - other) / 8, 246, "orange")
        picture.grid(middle - 84, 250, [[f"{value:.3f}" for value in g0 + g1]], cell=(56, 30), fill="orange")
        picture.arrow(middle, 284, middle, 316)
        picture.text(middle, 330, "w = w - lr v")
    picture.text(200, 203, "all-reduce", "orange")
    picture.text(200, 358, "the same gradient and the same step: the weights stay alike", size=13)
    return picture


def ring(count: int) -> np.ndarray:
    """What each rank (rows) has of each piece (columns) after so many steps of the ring."""
    has = np.repeat(10 ** np.arange(RANKS)[:, None], RANKS, axis=1)
    for number in range(count):
        sent = [((r - number) % RANKS, has[r, (r - number) % RANKS]) for r in range(RANKS)]
        for r, (piece, message) in enumerate(sent):
            to = (r + 1) % RANKS
            has[to, piece] = message + (has[to, piece] if number < RANKS - 1 else 0)
    return has


def four_ranks() -> Svg:
    """The pieces of four ranks at the start, after one step, half-way and at the end."""
    picture = Svg(400, 372)
    moments = {"at the start": 0, "after 1 step": 1, "after 3: one on each rank": 3, "after 6: all are": 6}
    for place, (title, count) in enumerate(moments.items()):
        x, y, has = 52 + 200 * (place % 2), 30 + 168 * (place // 2), ring(count)
        fill = {(r, j): "orange" for r in range(RANKS) for j in range(RANKS) if has[r, j] == ring(6)[0, 0]}
        if count < 6:
            fill |= {(r, (r - count) % RANKS): ("blue", 0.45) for r in range(RANKS) if count < 3}
        picture.text(x + 72, y - 14, title, bold=True)
        picture.grid(x, y, has.astype(str).tolist(), cell=(36, 30), fill=fill)
        for r in range(RANKS) if place % 2 == 0 else ():
            picture.text(4, y + 15 + 30 * r, f"rank {r}", anchor="start")
    picture.text(200, 344, "Blue is sent next, to the rank below, and added there.", "blue")
    picture.text(200, 361, "Orange is finished. From then on it is only copied.", "orange")
    return picture


def pictures() -> dict[str, str]:
    return {"many_processes.svg": str(step()), "many_processes_ring.svg": str(four_ranks())}
