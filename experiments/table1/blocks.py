"""What a report is made of: blocks that are written as Markdown (here) and as a page of HTML (page.py) alike.

A text may hold `code` between backquotes; everything else in it is plain.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Heading:
    text: str
    level: int = 2


@dataclass
class Text:
    text: str


@dataclass
class Table:
    header: list[str]
    rows: list[list[str]]


@dataclass
class Plot:
    """A drawing: `name`.png in the report's folder. png: its bytes."""

    name: str
    png: bytes
    caption: str


@dataclass
class Scenes:
    """Pictures to be compared: each scene is what to show, by name: "picture", "truth", "FCN-32s" ..., uint8 (H, W, 3).

    All scenes have the same names in the same order. As one PNG for Markdown they are `name`.png.
    """

    name: str
    caption: str
    scenes: list[dict[str, np.ndarray]]
    classes: list[str]
    palette: np.ndarray  # uint8 (L, 3)


@dataclass
class Claim:
    """A sentence of the lab report, and what would speak for and against it: written down before the runs."""

    name: str
    statement: str
    supported_if: str
    refuted_if: str


@dataclass
class Verdict:
    """What was found. verdict: "supported", "refuted" or "undecided"; found: the figures that decided it."""

    claim: Claim
    verdict: str
    found: str


Block = Heading | Text | Table | Plot | Scenes | Verdict


@dataclass
class Report:
    title: str
    blocks: list[Block] = field(default_factory=list)


def markdown(report: Report, folder: str = "", level: int = 1) -> str:
    """Return the report as Markdown.

    folder: where its PNG files are, seen from the Markdown file, "" or "x/".  level: of its title; headings follow.
    """
    blocks = [Heading(report.title, 1), *report.blocks]
    shifted = [Heading(b.text, b.level + level - 1) if isinstance(b, Heading) else b for b in blocks]
    return "\n\n".join(_markdown(block, folder) for block in shifted) + "\n"


def _markdown(block: Block, folder: str) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Table(header, rows):
            return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
        case Plot(name, _, caption) | Scenes(name, caption):
            return f"![{caption}]({folder}{name}.png)\n\n*{caption}*"
        case Verdict(claim, verdict, found):
            return (
                f"**{claim.statement}** {verdict.capitalize()}.\n\n- Supported if {claim.supported_if}\n"
                f"- Refuted if {claim.refuted_if}\n- Found: {found}"
            )
    raise TypeError(f"not a block of a report: {block!r}")
