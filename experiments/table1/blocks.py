"""What a report is made of: blocks, written as Markdown (report.md.jinja) and as a page of HTML (page.py) alike.

A text may hold `code` between backquotes; everything else in it is plain.
"""

from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np

HERE = Path(__file__).parent


class Heading(NamedTuple):
    text: str
    level: int = 2


class Text(NamedTuple):
    text: str


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


class Claim(NamedTuple):
    """A sentence of the lab report, and what would speak for and against it: see claims.md."""

    name: str
    statement: str
    supported_if: str
    refuted_if: str


def section(file: str, name: str) -> list[str]:
    """The paragraphs under a heading of one of the report's files of prose."""
    text = (HERE / file).read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


def claim(name: str) -> Claim:
    """The claim of this name, as it stands in claims.md."""
    statement, supported, refuted = section("claims.md", name)
    return Claim(name, statement, supported.removeprefix("Supported if "), refuted.removeprefix("Refuted if "))


def prose(name: str, **values) -> Text:
    """The paragraph of this name in prose.md, with the values in their places."""
    return Text(section("prose.md", name)[0].format(**values))


class Verdict(NamedTuple):
    """What was found. verdict: "supported", "refuted" or "undecided"; found: the figures that decided it."""

    claim: Claim
    verdict: str
    found: str


def decide(claim: Claim, supported: bool, refuted: bool, found: str) -> Verdict:
    return Verdict(claim, "supported" if supported else "refuted" if refuted else "undecided", found)


Block = Heading | Text | Table | Plot | Scenes | Verdict


class Report(NamedTuple):
    title: str
    blocks: list[Block]


def markdown(report: Report, folder: str = "", level: int = 1) -> str:
    """Return the report as Markdown: report.md.jinja, filled in.

    folder: where its PNG files are, seen from the Markdown file, "" or "x/".  level: of its title; headings follow.
    """
    return render("report.md.jinja", report, folder=folder, level=level)


def render(template: str, report: Report, filters: dict | None = None, **values) -> str:
    """Fill in a file of this folder; what goes into HTML is escaped."""
    options = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    folder, escaped = jinja2.FileSystemLoader(HERE), template.endswith(".html")
    environment = jinja2.Environment(loader=folder, autoescape=escaped, **options)
    environment.filters |= filters or {}
    blocks = [(type(block).__name__, block) for block in report.blocks]
    return environment.get_template(template).render(title=report.title, blocks=blocks, **values)
