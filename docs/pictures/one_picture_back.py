"""The picture of one_picture_back.md: what the loss asks of the score for car, and the six sums at the score layer."""

import numpy as np

from docs import pages

from .svg import Svg

TILE, SIDE = 4, 22  # pixels of the photograph in a cell; of the cell in the picture
CAR = 2


def fill(value: float, largest: float) -> tuple[str, float]:
    """Blue where the score should grow, orange where it should fall."""
    return "blue" if value < 0 else "orange", 0.8 * abs(value) / largest


def pictures() -> dict[str, str]:
    names = pages.names_of("one_picture_back")
    ds, dscore = names["ds"][:, :, CAR], names["dscore"][:, :, CAR]
    tiles = ds.reshape(48 // TILE, TILE, 64 // TILE, TILE).sum(axis=(1, 3))
    picture = Svg(400, 454)
    picture.text(24, 14, "Back at the picture: should the score for car", anchor="start")
    picture.text(24, 32, "grow", "blue", "start", bold=True)
    picture.text(70, 32, "or", anchor="start")
    picture.text(92, 32, "fall?", "orange", "start", bold=True)
    picture.text(376, 32, "dashed: the car", "faint", "end")
    left, top = 24, 46
    for (i, j), value in np.ndenumerate(tiles):
        picture.rect(left + SIDE * j, top + SIDE * i, SIDE, SIDE, None, fill(value, abs(tiles).max()))
    picture.rect(left, top, 16 * SIDE, 12 * SIDE, "faint")
    pixel = SIDE / TILE
    picture.rect(left + 24 * pixel, top + 18 * pixel, 24 * pixel, 16 * pixel, dashed=True)
    picture.arrow(200, top + 12 * SIDE + 6, 200, top + 12 * SIDE + 28, thick=2)
    picture.text(212, top + 12 * SIDE + 16, "gathered by six tents", "faint", "start")
    fills = {(i, j): fill(value, abs(dscore).max()) for (i, j), value in np.ndenumerate(dscore)}
    words = [[f"{value:.4f}" for value in row] for row in dscore]
    picture.text(200, 442, "above zero: should fall", "faint")
    picture.grid(80, top + 12 * SIDE + 36, words, cell=(80, 40), fill=fills)
    return {"one_picture_back.svg": str(picture)}
