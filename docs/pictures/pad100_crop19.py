"""The ruler of docs/pad100_crop19.md: where the maps of FCN-32s with padding 100 begin and end, in picture pixels."""

from minifcn.models.geometry import Grid, trunk_grids
from minifcn.sizes import conv_size

from .svg import Svg

SIZE = 128  # rows of the picture that is drawn


def pictures() -> dict[str, str]:
    return {"pad100_crop19_ruler.svg": str(ruler())}


def maps() -> dict[str, tuple[Grid, int]]:
    """Name -> where the pixels of a map lie, and how many there are."""
    grids, size = trunk_grids(100, 0), conv_size((SIZE, 0), (3, 3), (1, 1), (100, 100))[0]
    found = {"conv1": (Grid().conv(3, padding=100), size)}
    for block in range(1, 6):
        size = -(-size // 2)
        found[f"pool{block}"] = (grids[f"pool{block}"], size)
    scores = grids["fc7"]
    up = scores.conv_transpose(64, 32)
    return found | {"scores": (scores, size - 6), "upscore32": (up, (size - 5) * 32), "picture": (Grid(), SIZE)}


def ruler() -> Svg:
    picture, rows, ROW, TOP = Svg(400, 440), maps(), 38, 56

    def x(pixel):
        return 88 + (pixel + 110) * 0.86

    picture.text(200, 12, "rows of the picture, and where maps lie", bold=True)
    for pixel in range(-100, 240, 50):
        picture.text(x(pixel), 34, pixel, "faint")
        picture.line([(x(pixel), 44), (x(pixel), TOP + ROW * len(rows))], "faint", 0.5)
    for i, (name, (grid, size)) in enumerate(rows.items()):
        y = TOP + ROW * (i + 0.5)
        first, last = x(grid.start), x(grid.start + grid.stride * (size - 1))
        colour = {"picture": "orange", "upscore32": "blue", "scores": "blue"}.get(name, "ink")
        picture.text(4, y, name, colour, "start", 14)
        if grid.stride < 8:
            picture.rect(first, y - 7, last - first, 14, colour, (colour, 0.25))
        else:
            picture.line([(first, y), (last, y)], colour, 1)
            for pixel in range(size):
                picture.dot(x(grid.start + grid.stride * pixel), y, 3 if name.startswith("pool") else 5, colour)
        if name == "scores":
            picture.text(first, y - 14, number(grid.start), colour)
        else:
            picture.text(first + 3, y - 14, number(grid.start), colour, "start")
    y = TOP + ROW * (len(rows) - 0.5) + 20
    start = rows["upscore32"][0].start
    picture.line([(x(start), y - 40), (x(start), y + 6)], "blue", 1, dashed=True)
    picture.line([(x(0), y - 10), (x(0), y + 6)], "orange", 1, dashed=True)
    picture.text((x(start) + x(0)) / 2, y + 16, f"crop {-start:g}", "blue", bold=True, size=14)
    return picture


def number(value: float) -> str:
    return f"{value:g}"
