"""The pictures of docs/walkthrough/convolution.md: its 4 x 4 picture, its kernel and its dy, there and back."""

import numpy as np

import minifcn as mf

from .svg import Svg, number

X4 = np.array([[1, 2, 0, 1], [3, 1, 2, 2], [2, 1, 1, 1], [1, 1, 0, 2]], float)
W3 = np.array([[1, 2, -1], [3, 1, -2], [2, -3, 1]], float)
DY2 = np.array([[1, 2], [3, -1]], float)


def conv(x, w):
    return mf.conv2d(x[None, :, :, None], w[:, :, None, None]).data[0, :, :, 0]


def block(top, left, height, width, fill="blue"):
    """The same fill for a block of cells."""
    return {(top + i, left + j): fill for i in range(height) for j in range(width)}


def product(a, b):
    a, b = (f"({number(value)})" if value < 0 else number(value) for value in (a, b))
    return f"{a}·{b}"


def forward() -> Svg:
    y, picture = conv(X4, W3), Svg(400, 262)
    picture.grid(8, 40, X4, 36, fill=block(0, 0, 3, 3))
    picture.grid(178, 58, W3, 34, fill="orange")
    picture.grid(318, 75, y, 36, fill={(0, 0): "blue"})
    for x, words in ((80, "x"), (229, "w"), (354, "y")):
        picture.text(x, 20, words, bold=True)
    picture.text(165, 110, "*", size=18)
    picture.text(298, 110, "=", size=18)
    terms = [product(a, b) for a, b in zip(X4[:3, :3].ravel(), W3.ravel(), strict=True)]
    picture.text(20, 206, "y[0,0]  =", "blue", "start")
    for row in range(3):
        end = " +" if row < 2 else f" = {number(y[0, 0])}"
        picture.text(88, 206 + 20 * row, " + ".join(terms[3 * row : 3 * row + 3]) + end, "blue", "start")
    return picture


def im2col() -> Svg:
    rows = np.array([X4[i : i + 3, j : j + 3].ravel() for i in range(2) for j in range(2)])
    picture = Svg(400, 390)
    picture.text(84, 14, "x", bold=True)
    picture.grid(12, 28, X4, 36, fill=block(0, 0, 3, 3))
    picture.rect(12 + 36, 28 + 36, 3 * 36, 3 * 36, "orange", thick=3)
    picture.text(176, 50, "each patch of nine pixels", anchor="start")
    picture.text(176, 70, "becomes a row of cols:", anchor="start")
    picture.text(176, 94, "this one the first,", "blue", "start")
    picture.text(176, 114, "the framed one the last", "orange", "start")
    picture.text(120, 214, "cols", bold=True)
    fill = block(0, 0, 1, 9) | block(3, 0, 1, 9, "orange")
    picture.grid(12, 230, rows, (25, 28), fill=fill)
    picture.text(263, 286, "@", size=18)
    picture.text(294, 154, "w", bold=True)
    picture.grid(278, 166, W3.reshape(9, 1), (32, 24))
    picture.text(328, 286, "=", size=18)
    picture.text(366, 214, "y", bold=True)
    picture.grid(346, 230, conv(X4, W3).reshape(4, 1), (40, 28), fill={(0, 0): "blue", (3, 0): "orange"})
    return picture


def scatter() -> Svg:
    picture, dx = Svg(400, 290), np.zeros((4, 4))
    for oy, ox in np.ndindex(2, 2):
        stamp = np.zeros((4, 4))
        stamp[oy : oy + 3, ox : ox + 3] = DY2[oy, ox] * W3
        dx += stamp
        x, y = 8 + 112 * ox, 34 + 136 * oy
        picture.text(x + 48, y - 14, f"{number(DY2[oy, ox])} · w")
        picture.grid(x, y, stamp, 24, fill=block(oy, ox, 3, 3), size=12)
    for y in (82, 218):
        picture.text(112, y, "+", size=16)
    picture.text(112, 150, "+", size=16)
    picture.text(228, 150, "=", size=18)
    picture.text(318, 62, "dx", bold=True)
    picture.grid(244, 78, dx, 37, fill="orange")
    return picture


def turned() -> Svg:
    border, w = np.pad(DY2, 2), W3[::-1, ::-1]
    dx, picture = conv(border, w), Svg(400, 300)
    zeros = {at for at in np.ndindex(6, 6) if not (2 <= at[0] < 4 and 2 <= at[1] < 4)}
    picture.text(98, 16, "dy with its border of zeros", bold=True)
    picture.grid(8, 34, border, 30, fill=block(1, 1, 3, 3), dashed=zeros)
    picture.text(203, 82, "*", size=18)
    picture.text(310, 16, "w, turned", bold=True)
    picture.grid(258, 34, w, 32, fill="orange")
    picture.text(240, 212, "=", size=18)
    picture.text(318, 148, "dx", bold=True)
    picture.grid(258, 162, dx, (33, 30), fill={(1, 1): "blue"})
    pairs = zip(border[1:4, 1:4].ravel(), w.ravel(), strict=True)
    terms = " + ".join(product(a, b) for a, b in pairs if a)
    picture.text(8, 236, f"{terms} = {number(dx[1, 1])}", "blue", "start")
    picture.text(8, 258, "and five products with zeros", "blue", "start")
    return picture


def pictures() -> dict[str, str]:
    drawings = {"forward": forward, "im2col": im2col, "scatter": scatter, "turned": turned}
    return {f"convolution_{name}.svg": str(draw()) for name, draw in drawings.items()}
