"""A report as one file of HTML that needs no other: pictures are data: URIs, the style and the script stand in it.

    +----------+------------------------------+
    | contents | title, counts of verdicts    |    narrow screens: one column, wide tables scroll in themselves
    |  - ...   | text, tables, plots          |    dark where the reader's system is
    |  - ...   | verdicts: cards with a badge |
    |          | scenes: a layer wiped over   |    layers: radio buttons, by CSS alone; the wipe: a slider, by script
    +----------+------------------------------+

Every text is taken for hostile: it is escaped, and the page's Content-Security-Policy lets no script but the page's own
run and nothing be fetched.
"""

import base64
import hashlib
import html
import io
import re
from collections import Counter

import numpy as np
from PIL import Image

from minifcn.figures import VOID_COLOUR

from .blocks import Block, Heading, Plot, Report, Scenes, Table, Text, Verdict
from .page_style import NO_SCRIPT_STYLE, SCRIPT, STYLE

BADGES = {"supported": "✓", "refuted": "✗", "undecided": "?"}
# 36.3 %, ±0.4, 1,234, 1e-3, 2.17 s, 3 / 8, 56 \u2013 61; \u2212, \u00b1, \u2013, \u00d7: minus, plus-minus, dash, times
NUMBER = re.compile(r"[~<>+\u2212\u00b1-]?\s?\d[\d\s.,:%/()e+\u2212\u00b1\u2013\u00d7-]*(\s[A-Za-z/]{1,10})?")
NOTHING = {"", "-", "\u2013", "\u2014", "nan", "n/a"}  # cells that are as good among numbers as among names


def page(report: Report) -> str:
    """Return the report as the text of an HTML file, to be written as UTF-8.

    Raises:
        ValueError: a table's row is not as long as its header; a verdict is none of BADGES; a layer is not
            (H, W, 3) uint8, or differs in size from the others of its scene.
        PIL.UnidentifiedImageError: a plot's bytes are no picture.
    """
    anchors = _anchors([block for block in report.blocks if isinstance(block, Heading)])
    body = "\n".join(_block(block, k, anchors) for k, block in enumerate(report.blocks))
    title = f"<h1>{_inline(report.title)}</h1>" if report.title else ""
    script_hash = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_plain(report.title or "Report")}</title>
<style>{STYLE}{_layer_rules(report)}</style>
<noscript><style>{NO_SCRIPT_STYLE}</style></noscript>
</head>
<body>
{_contents(anchors)}
<main>
<header>{title}{_counts(report)}</header>
{body}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


# --- texts ---


def _inline(text: str) -> str:
    """Return a text as HTML: `code` as <code>, the rest plain."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _plain(text: str) -> str:
    """Return a text as HTML for places that hold no tags, such as attributes."""
    return html.escape(text.replace("`", ""))


def _anchors(headings: list[Heading]) -> dict[int, tuple[str, Heading]]:
    """Return (anchor, heading) by the id() of each heading; anchors are made of the texts, and differ."""
    seen: Counter[str] = Counter()
    anchors = {}
    for heading in headings:
        slug = "-".join(re.findall(r"\w+", heading.text.lower())) or "section"
        seen[slug] += 1
        # "--", which no slug holds: two headings "a" and one "a 2" stay apart
        anchors[id(heading)] = (slug if seen[slug] == 1 else f"{slug}--{seen[slug]}", heading)
    return anchors


def _contents(anchors: dict[int, tuple[str, Heading]]) -> str:
    if not anchors:
        return ""
    top = min(heading.level for _, heading in anchors.values())
    items = "\n".join(
        f'<li style="--depth:{heading.level - top}"><a href="#{_plain(anchor)}">{_inline(heading.text)}</a></li>'
        for anchor, heading in anchors.values()
    )
    return f'<nav aria-label="Contents"><p>Contents</p><ul>\n{items}\n</ul></nav>'


def _counts(report: Report) -> str:
    """Return how many claims were supported, refuted and left undecided, if there were any."""
    counts = Counter(block.verdict for block in report.blocks if isinstance(block, Verdict))
    badges = [_badge(verdict, f"{counts[verdict]} {verdict}") for verdict in BADGES if counts[verdict]]
    return f'<p class="counts">{" ".join(badges)}</p>' if badges else ""


def _badge(verdict: str, text: str) -> str:
    return f'<span class="badge {verdict}"><span aria-hidden="true">{BADGES[verdict]}</span> {text}</span>'


# --- blocks ---


def _block(block: Block, k: int, anchors: dict[int, tuple[str, Heading]]) -> str:
    match block:
        case Heading(text, level):
            return f'<h{level} id="{_plain(anchors[id(block)][0])}">{_inline(text)}</h{level}>'
        case Text(text):
            return "\n".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", text))
        case Table():
            return _table(block)
        case Plot():
            return _plot(block)
        case Verdict():
            return _verdict(block)
        case Scenes():
            return _scenes(block, k)
    raise TypeError(f"not a block of a report: {block!r}")


def _table(table: Table) -> str:
    """Columns of numbers are aligned at the right, their digits equally wide."""
    for row in table.rows:
        if len(row) != len(table.header):
            raise ValueError(f"row of a table: expected {len(table.header)} cells as in its header, got {row}")
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.header)
    numbers = [_holds_numbers(column) for column in columns]

    def cells(tag: str, row: list[str]) -> str:
        kinds = [f'{tag} class="number"' if number else tag for number in numbers]
        inner = "".join(f"<{kind}>{_inline(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))
        return f"<tr>{inner}</tr>"

    head = cells("th", table.header)
    body = "\n".join(cells("td", row) for row in table.rows)
    return (
        '<div class="table" tabindex="0" role="region" aria-label="Table">\n'
        f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _holds_numbers(column: tuple[str, ...]) -> bool:
    """Tell whether at least half of the cells that are not empty are numbers; the others may say "not reached"."""
    filled = [cell.strip() for cell in column if cell.strip() not in NOTHING]
    return 2 * sum(NUMBER.fullmatch(cell) is not None for cell in filled) >= max(1, len(filled))


def _plot(plot: Plot) -> str:
    with Image.open(io.BytesIO(plot.png)) as image:
        size = image.size
    caption = f"<figcaption>{_inline(plot.caption)}</figcaption>"
    return f'<figure class="plot"><div>{_image(plot.png, size, plot.caption)}</div>{caption}</figure>'


def _verdict(block: Verdict) -> str:
    if block.verdict not in BADGES:
        raise ValueError(f"verdict: expected one of {list(BADGES)}, got {block.verdict!r}")
    claim = block.claim
    rows = [("Supported if", claim.supported_if), ("Refuted if", claim.refuted_if), ("Found", block.found)]
    details = "".join(f"<div><dt>{name}</dt><dd>{_inline(text)}</dd></div>" for name, text in rows)
    return (
        f'<section class="verdict {block.verdict}" aria-label="{_plain(claim.name)}">'
        f"<p>{_badge(block.verdict, block.verdict)}<span>{_inline(claim.name)}</span></p>"
        f'<p class="statement">{_inline(claim.statement)}</p><dl>{details}</dl></section>'
    )


# --- pictures ---


def _image(png: bytes, size: tuple[int, int], alt: str, kind: str = "") -> str:
    source = base64.b64encode(png).decode()
    return (
        f'<img{kind and f" class={kind}"} src="data:image/png;base64,{source}" '
        f'width="{size[0]}" height="{size[1]}" alt="{_plain(alt)}">'
    )


def _png(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _scenes(block: Scenes, k: int) -> str:
    """Scenes beside or under each other, over a legend of the classes, and of void if a label layer shows it."""
    scenes = "\n".join(_scene(scene, f"scene-{k}-{n}", n, block.palette) for n, scene in enumerate(block.scenes, 1))
    names, colours = list(block.classes), block.palette.tolist()
    layers = (x for scene in block.scenes for x in scene.values())
    if any((x == VOID_COLOUR).all(2).any() for x in layers if _is_labels(x, block.palette)):
        names, colours = [*names, "void"], [*colours, VOID_COLOUR]
    legend = "".join(
        f'<li><span style="background:rgb({r},{g},{b})"></span>{_inline(name)}</li>'
        for name, (r, g, b) in zip(names, colours, strict=True)
    )
    return (
        f'<figure class="scenes"><div>\n{scenes}\n</div>\n<ul class="legend">{legend}</ul>'
        f"<figcaption>{_inline(block.caption)}</figcaption></figure>"
    )


def _scene(scene: dict[str, np.ndarray], anchor: str, n: int, palette: np.ndarray) -> str:
    """The first layer, over it the chosen one, from the divider to the right edge. Chosen is the second at first."""
    H, W = next(iter(scene.values())).shape[:2]
    layers, buttons = [], []
    for index, (name, x) in enumerate(scene.items()):
        if x.shape != (H, W, 3) or x.dtype != np.uint8:
            raise ValueError(f"layer {name!r} of scene {n}: expected {(H, W, 3)} uint8, got {x.shape} {x.dtype}")
        image = _image(_png(x), (W, H), f"scene {n}: {name}", "labels" if _is_labels(x, palette) else "")
        layers.append(f'<div class="layer">{image}<span class="tag" aria-hidden="true">{_inline(name)}</span></div>')
        checked = " checked" if index == min(1, len(scene) - 1) else ""
        radio = f'<input type="radio" name="{anchor}" value="{index}" autocomplete="off"{checked}>'
        buttons.append(f"<label>{radio}<span>{_inline(name)}</span></label>")
    pictures = "\n".join(layers)
    return (
        f'<div class="scene"><div class="stage" style="--ratio:{W / H:.4f}">\n{pictures}\n'
        '<input class="wipe" type="range" min="0" max="100" step="0.5" value="50" autocomplete="off" '
        f'aria-label="Scene {n}: where the chosen layer begins, in per cent of the width">'
        '<span class="handle" aria-hidden="true"></span></div>\n'
        f'<div class="buttons" role="radiogroup" aria-label="Scene {n}: layer">{"".join(buttons)}</div></div>'
    )


def _is_labels(x: np.ndarray, palette: np.ndarray) -> bool:
    """Tell whether a layer holds colours of classes and void alone: it is scaled without mixing them."""
    packed = np.array([65536, 256, 1])
    return bool(np.isin(x @ packed, np.vstack([palette, [VOID_COLOUR]]) @ packed).all())


def _layer_rules(report: Report) -> str:
    """Return the rules that show the layer whose button is chosen, for as many layers as a scene has at most."""
    count = max((len(scene) for x in report.blocks if isinstance(x, Scenes) for scene in x.scenes), default=0)
    return "\n".join(
        f'.scene:has([value="{k}"]:checked) .layer:nth-of-type({k + 1}) {{ display: block; }}' for k in range(count)
    )
