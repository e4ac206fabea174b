"""The picture of winograd.md: the data flow of F(2x2, 3x3), with the numbers of the chapter's tile and kernel."""

from operator import itemgetter

from docs.pages import names_of

from .svg import Svg

CELL = 24
LEFT, MIDDLE, RIGHT = 76, 200, 324  # of the picture, in x
PICKED = (1, 2)  # a frequency


def pictures() -> dict[str, str]:
    d, g, AT, v, u = itemgetter("tile", "kernel", "AT", "v", "u")(names_of("winograd"))
    m = v * u
    picture = Svg(400, 420)

    def square(middle, top, values, colour, label, dark=None):
        picture.text(middle, top - 12, label, colour)
        fill = {(i, j): (colour, 0.15) for i in range(len(values)) for j in range(len(values))}
        if dark:
            fill[dark] = (colour, 0.5)
        picture.grid(middle - CELL * len(values) / 2, top, values, CELL, fill=fill, size=12)

    square(LEFT, 30, d, "blue", "tile d, 4x4")
    square(MIDDLE, 42, g, "orange", "kernel g, 3x3")
    picture.arrow(LEFT, 132, LEFT, 174, "blue")
    picture.text(LEFT - 8, 152, "BT d B", "blue", anchor="end")
    picture.arrow(MIDDLE, 120, MIDDLE, 174, "orange")
    picture.text(MIDDLE + 8, 152, "G g GT", "orange", anchor="start")
    square(LEFT, 198, v, "blue", "v", PICKED)
    square(MIDDLE, 198, u, "orange", "u", PICKED)
    square(RIGHT, 198, m, "ink", "m", PICKED)
    picture.text((LEFT + MIDDLE) / 2, 246, "*", size=22)
    picture.text((MIDDLE + RIGHT) / 2, 246, "=", size=20)
    picture.text(LEFT - 2 * CELL, 320, "16 frequencies,", anchor="start")
    picture.text(LEFT - 2 * CELL, 336, "16 products", anchor="start")
    picture.arrow(RIGHT, 300, RIGHT, 352)
    picture.text(RIGHT - 10, 320, "sum over channels,", anchor="end")
    picture.text(RIGHT - 10, 336, "then AT m A", anchor="end")
    picture.grid(RIGHT - CELL, 358, AT @ m @ AT.T, CELL, size=12)
    picture.text(RIGHT - 34, 382, "tile of y, 2x2: 4 outputs", anchor="end")
    return {"winograd.svg": str(picture)}
