"""Plain SVG: grids of numbers, arrows and words that can be read on a phone, and in dark mode.

    picture = Svg(400, 200)
    x = picture.grid(20, 40, [[1, 2], [3, 4]], fill={(0, 1): "blue"})
    y = picture.grid(220, 40, [[0.5]], fill="orange")
    picture.arrow(*x(0, 1), *y(0, 0), "blue")            x(row, column): the centre of that cell
    picture.text(200, 180, "one number of x goes to one of y")
    str(picture)

Lengths are in pixels of the picture. Screens show it 360 pixels wide or more, so letters must not be smaller than a
thirtieth of its width, which is what they are by default. Colours are names: ink, faint, blue, orange. A fill is such a
name, or a name and how opaque it is, 0 to 1. There is no background: it is the page's.
"""

from html import escape

COLOURS = {"ink": ("#222", "#ddd"), "faint": ("#9a9a9a", "#9a9a9a")}  # light, dark
COLOURS |= {"blue": ("#1f4e79", "#7fb2e5"), "orange": ("#b2541a", "#f0a060")}


def number(value) -> str:
    """Return a number with at most two decimals, and no sign on zero, so that it is the same on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def style(dark: bool) -> str:
    return " ".join(
        f".{name} {{ fill: {pair[dark]} }} .{name}-line {{ stroke: {pair[dark]}; fill: none }}"
        for name, pair in COLOURS.items()
    )


class Svg:
    def __init__(self, width: int, height: int):
        self.width, self.height, self.parts = width, height, []

    def text(self, x, y, words, colour="ink", anchor="middle", size=None, bold=False, turn=0) -> None:
        """Write a line whose middle (or start, or end) is at x, halfway up at y. turn: degrees, clockwise."""
        size = size or round(self.width / 30)
        turned = f' transform="rotate({turn} {number(x)} {number(y)})"' if turn else ""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{number(x)}" y="{number(y + 0.35 * size)}" class="{colour}" font-size="{size}" '
            f'text-anchor="{anchor}"{weight}{turned}>{escape(str(words))}</text>'
        )

    def rect(self, x, y, width, height, colour="ink", fill=None, dashed=False, thick=1) -> None:
        """Draw a frame, and fill it. colour None: no frame."""
        box = f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
        if fill:
            name, opacity = (fill, 0.3) if isinstance(fill, str) else fill
            self.parts.append(f'{box} class="{name}" fill-opacity="{number(opacity)}"/>')
        if colour:
            self.parts.append(f"{box} {self.stroke(colour, thick, dashed)}/>")

    def line(self, points, colour="ink", thick=1.5, dashed=False) -> None:
        """Draw a line through points (x, y)."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" {self.stroke(colour, thick, dashed)}/>')

    def arrow(self, x0, y0, x1, y1, colour="ink", thick=1.5, dashed=False) -> None:
        """Draw an arrow whose tip is at (x1, y1)."""
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
        ux, uy, head = (x1 - x0) / length, (y1 - y0) / length, self.width / 45
        bx, by = x1 - head * ux, y1 - head * uy  # the middle of the head's base
        self.line([(x0, y0), (bx, by)], colour, thick, dashed)
        corners = [(x1, y1), (bx - 0.5 * head * uy, by + 0.5 * head * ux), (bx + 0.5 * head * uy, by - 0.5 * head * ux)]
        path = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
        self.parts.append(f'<polygon points="{path}" class="{colour}"/>')

    def dot(self, x, y, radius=4, colour="ink") -> None:
        self.parts.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="{colour}"/>')

    def grid(self, x, y, rows, cell=32, colour="ink", fill=None, dashed=(), size=None):
        """Draw cells with their numbers or words, the first at (x, y); return the function (row, column) -> centre.

        rows: a table, or an array (H, W); None leaves a place without a cell. cell: the side of a cell, or its width
        and height. fill: one for all cells, or {(row, column): fill}. dashed: cells (row, column) of padding.
        """
        width, height = (cell, cell) if isinstance(cell, (int, float)) else cell

        def centre(row, column):
            return x + (column + 0.5) * width, y + (row + 0.5) * height

        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if value is not None:
                    filled = fill.get((i, j)) if isinstance(fill, dict) else fill
                    paler = "faint" if (i, j) in dashed else colour
                    self.rect(x + j * width, y + i * height, width, height, paler, filled, (i, j) in dashed)
                    self.text(*centre(i, j), value if isinstance(value, str) else number(value), paler, size=size)
        return centre

    def stroke(self, colour, thick, dashed) -> str:
        dashes = f' stroke-dasharray="{number(3 * thick)} {number(2 * thick)}"' if dashed else ""
        return f'class="{colour}-line" stroke-width="{number(thick)}"{dashes}'

    def __str__(self) -> str:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}">'
        css = f"<style>text {{ font-family: sans-serif }} {style(False)} "
        css += f"@media (prefers-color-scheme: dark) {{ {style(True)} }}</style>"
        return "\n".join([head, css, *self.parts, "</svg>"]) + "\n"
