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
    picture = Svg(400, 480)

    def square(middle, top, values, colour, label, dark=None):
        picture.text(middle, top - 12, label, colour)
        fill = {(i, j): (colour, 0.15) for i in range(len(values)) for j in range(len(values))}
        if dark:
            fill[dark] = (colour, 0.5)
        return picture.grid(middle - CELL * len(values) / 2, top, values, CELL, fill=fill, size=12)

    square(LEFT, 30, d, "blue", "tile d of x, 4x4")
    square(RIGHT, 42, g, "orange", "kernel g, 3x3")
    picture.arrow(LEFT, 130, LEFT, 172, "blue")
    picture.text(LEFT + 10, 150, "BT d B", "blue", anchor="start")
    picture.arrow(RIGHT, 118, RIGHT, 172, "orange")
    picture.text(RIGHT - 10, 150, "G g GT", "orange", anchor="end")
    from_v = square(LEFT, 196, v, "blue", "v: 4x4 frequencies", PICKED)(*PICKED)
    from_u = square(RIGHT, 196, u, "orange", "u: 4x4 frequencies", PICKED)(*PICKED)
    to = square(MIDDLE, 290, m, "ink", "", PICKED)(*PICKED)
    picture.arrow(from_v[0] + CELL / 2, from_v[1] + CELL / 2, to[0] - 9, to[1] - 10, "blue", dashed=True)
    picture.arrow(from_u[0] - CELL / 2, from_u[1] + CELL / 2, to[0] + 9, to[1] - 10, "orange", dashed=True)
    picture.text(LEFT, 322, "m = u * v:")
    picture.text(LEFT, 338, "16 products,")
    picture.text(LEFT, 354, "place by place")
    picture.arrow(MIDDLE, 390, MIDDLE, 424)
    picture.text(MIDDLE + 10, 405, "sum over channels, then AT m A", anchor="start", size=12)
    picture.grid(MIDDLE - CELL, 426, AT @ m @ AT.T, CELL, size=12)
    picture.text(MIDDLE + 34, 450, "tile of y, 2x2", anchor="start")
    return {"winograd.svg": str(picture)}
