"""What a report is made of: blocks, written as Markdown (report.md.jinja) and as one file of HTML (page.html) alike.

A str is a text, paragraphs with an empty line between them. It may hold `code` between backquotes, as all words of a
report may; everything else in it is plain. The page:

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
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from minifcn.datasets.pictures import IGNORE_LABEL
from minifcn.figures import VOID_COLOUR, colourise

HERE = Path(__file__).parent
NUMBER = re.compile(r"[+±\u2212-]?\d|-?$")  # how a cell of numbers begins: 36.3 %, ±0.4, -1e-3, 3 / 8; or it is empty


class Heading(NamedTuple):
    text: str
    level: int = 2


class Table(NamedTuple):
    header: list[str]
    rows: list[list[str]]


class Plot(NamedTuple):
    """A drawing: `name`.png in the report's folder. png: its bytes."""

    name: str
    png: bytes
    caption: str


class Scenes(NamedTuple):
    """Pictures to be compared: each scene is what to show, by name: "picture", "truth", "FCN-32s" ...

    A picture is uint8 (H, W, 3); labels are uint8 (H, W) and shown in the palette's colours. All scenes have the same
    names in the same order. As one PNG for Markdown they are `name`.png.
    """

    name: str
    caption: str
    scenes: list[dict[str, np.ndarray]]
    classes: list[str]
    palette: np.ndarray  # uint8 (L, 3)


class Verdict(NamedTuple):
    """A sentence of the lab report, what would speak for and against it (claims.md), and the figures that decided it.

    verdict: "supported", "refuted" or "undecided".
    """

    name: str
    statement: str
    supported_if: str
    refuted_if: str
    verdict: str
    found: str


Block = Heading | str | Table | Plot | Scenes | Verdict  # a report is a list of them, the first one its title


def section(file: str, name: str) -> list[str]:
    """The paragraphs under a heading of one of the report's files of prose."""
    text = (HERE / file).read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


def prose(name: str, **values) -> str:
    """The paragraph of this name in prose.md, with the values in their places."""
    return section("prose.md", name)[0].format(**values)


def judge(name: str, supported: bool, refuted: bool, found: str) -> Verdict:
    """The verdict on the claim of this name, which stands in claims.md."""
    statement, if_so, if_not = section("claims.md", name)
    conditions = if_so.removeprefix("Supported if "), if_not.removeprefix("Refuted if ")
    verdict = "supported" if supported else "refuted" if refuted else "undecided"
    return Verdict(name, statement, *conditions, verdict, found)


# --- written ---


def markdown(report: list[Block], folder: str = "", level: int = 1) -> str:
    """Return the report as Markdown.

    folder: where its PNG files are, seen from the Markdown file, "" or "x/".  level: of its title; headings follow.
    """
    return render("report.md.jinja", report, folder=folder, level=level)


def page(report: list[Block]) -> str:
    """Return the report as the text of an HTML file, to be written as UTF-8.

    Raises ValueError where a table's row is not as long as its header, jinja2.UndefinedError for an unknown verdict.
    """
    return render("page.html", report)


def render(template: str, report: list[Block], **values) -> str:
    """Fill in a file of this folder; what goes into HTML is escaped."""
    options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    folder, escaped = jinja2.FileSystemLoader(HERE), jinja2.select_autoescape()
    environment = jinja2.Environment(loader=folder, autoescape=escaped, **options)
    environment.finalize = inert if template.endswith(".md.jinja") else None
    environment.filters |= {"marked": marked, "png": png, "uri": uri, "numbers": numbers, "legend": legend}
    title, *blocks = ((type(block).__name__, block) for block in report)
    return environment.get_template(template).render(title=title[1].text, blocks=blocks, **values)


def inert(value):
    """A value as Markdown shows it: nothing in a name begins HTML or ends in a link."""
    return re.sub("<(?=[a-zA-Z/!?])", "&lt;", value).replace("](", "]\\(") if isinstance(value, str) else value


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
