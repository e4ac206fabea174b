"""A report as one file of HTML that needs no other: page.html, filled in.

    +----------+------------------------------+
    | contents | title, counts of verdicts    |    narrow screens: one column, wide tables scroll in themselves
    |  - ...   | text, tables, plots          |
    |  - ...   | verdicts: cards with a badge |
    |          | scenes: a layer wiped over   |    layers: radio buttons, by CSS alone; the wipe: a slider, by script
    +----------+------------------------------+

Jinja2 escapes every text, and pictures are data: URIs. The page's Content-Security-Policy lets nothing be fetched.
"""

import base64
import html
import io
import re

import numpy as np
from markupsafe import Markup
from PIL import Image

from minifcn.datasets.pictures import IGNORE_LABEL
from minifcn.figures import VOID_COLOUR, colourise

from .blocks import Report, Scenes, Table, render

NUMBER = re.compile(r"[+±\u2212-]?\d|-?$")  # how a cell of numbers begins: 36.3 %, ±0.4, -1e-3, 3 / 8; or it is empty


def page(report: Report) -> str:
    """Return the report as the text of an HTML file, to be written as UTF-8.

    Raises ValueError where a table's row is not as long as its header, jinja2.UndefinedError for an unknown verdict.
    """
    filters = {"marked": marked, "png": png, "uri": uri, "numbers": numbers, "legend": legend}
    return render("page.html", report, filters)


def marked(text: str) -> Markup:
    """A text as HTML: `code` as <code>, the rest plain."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)))


def png(x: np.ndarray, palette: np.ndarray) -> bytes:
    """The PNG of a picture (H, W, 3), or of labels (H, W) in their colours."""
    file = io.BytesIO()
    Image.fromarray(x if x.ndim == 3 else colourise(x, palette)).save(file, format="PNG", optimize=True)
    return file.getvalue()


def uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def numbers(table: Table) -> list[bool]:
    """Tell for each column whether it holds numbers, in at least half of its cells: they are aligned at the right."""
    columns = zip(table.header, *table.rows, strict=True)
    return [2 * sum(bool(NUMBER.match(cell)) for cell in cells) >= len(cells) for _, *cells in columns]


def legend(scenes: Scenes) -> list[tuple[str, list[int]]]:
    """The name and colour of each class, and of void where a layer of labels shows it."""
    entries = list(zip(scenes.classes, scenes.palette.tolist(), strict=True))
    labels = [x for scene in scenes.scenes for x in scene.values() if x.ndim == 2]
    return entries + [("void", VOID_COLOUR)] * any((x == IGNORE_LABEL).any() for x in labels)
