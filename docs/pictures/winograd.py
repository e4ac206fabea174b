"""The picture of winograd.md: the data flow of F(4x4, 3x3), with the numbers of one tile and one kernel."""

import numpy as np

from .svg import Svg

CELL = 20
LEFT, MIDDLE, RIGHT = 84, 200, 316  # of the picture, in x
PICKED = (1, 2)  # a frequency

# Lavin, Gray 2015, section 4.2
BT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
BT = np.array([*BT, [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])
G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
AT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


def flow():
    """Return a tile d (6,6) with an edge, a kernel g (3,3) that finds edges, and their outputs y (4,4)."""
    d = np.array([[0, 0, 0, 1, 1, 1]] * 3 + [[0, 0, 1, 1, 1, 1]] * 3, float)
    g = np.array([[-1, 0, 1]] * 3, float)
    return d, g, AT @ (G @ g @ G.T * (BT @ d @ BT.T)) @ AT.T


def pictures() -> dict[str, str]:
    d, g, y = flow()
    picture = Svg(400, 500)

    def square(middle, top, values, colour, label, fill=None):
        picture.text(middle, top - 13, label, colour)
        left = middle - CELL * len(values) / 2
        return picture.grid(left, top, values, CELL, fill=fill or (colour, 0.15), size=12)

    empty = [[""] * 6] * 6
    square(LEFT, 32, np.rint(d), "blue", "tile d of x, 6x6")
    square(RIGHT, 62, np.rint(g), "orange", "kernel g, 3x3")
    picture.arrow(LEFT, 156, LEFT, 206, "blue")
    picture.text(LEFT + 10, 180, "BT d B", "blue", anchor="start")
    picture.arrow(RIGHT, 126, RIGHT, 206, "orange")
    picture.text(RIGHT - 10, 172, "G g GT", "orange", anchor="end")
    v = square(LEFT, 210, empty, "blue", "", {PICKED: ("blue", 0.7)})
    u = square(RIGHT, 210, empty, "orange", "", {PICKED: ("orange", 0.7)})
    picture.line([v(*PICKED), (MIDDLE - 14, 270)], "blue", dashed=True)
    picture.line([u(*PICKED), (MIDDLE + 14, 270)], "orange", dashed=True)
    picture.text(MIDDLE, 270, "x", size=24)
    picture.text(MIDDLE, 216, "36")
    picture.text(MIDDLE, 232, "products")
    picture.line([(MIDDLE, 284), (MIDDLE, 330)])
    picture.text(LEFT, 346, "6x6 frequencies", "blue")
    picture.text(RIGHT, 346, "6x6 frequencies", "orange")
    picture.arrow(MIDDLE, 330, MIDDLE, 390)
    picture.text(MIDDLE + 10, 364, "sum over channels, then", anchor="start")
    picture.text(MIDDLE + 10, 380, "AT m A", anchor="start")
    picture.grid(MIDDLE - 2 * CELL, 394, np.rint(y), CELL, size=12)
    picture.text(MIDDLE, 488, "tile of y, 4x4: 16 outputs")
    return {"winograd.svg": str(picture)}
