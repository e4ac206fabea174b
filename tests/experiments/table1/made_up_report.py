"""A report with every kind of block, made up to break the page: its texts are markup, its pictures noise and blocks."""

import io

import numpy as np
from PIL import Image

from experiments.table1.blocks import Heading, Plot, Scenes, Table, Verdict
from minifcn.datasets.pictures import IGNORE_LABEL
from minifcn.figures import colourise

EVIL = (
    """<script>hit = 1</script><img src=x onerror="hit = 1"> "double" 'single' & &amp; </style></title>%s {{ 1 + 1 }}"""
)
LONG = "incomprehensibility" * 8
PALETTE = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
CLASSES = ["ground", f"car {EVIL}", "`tree`"]
LAYERS = ["picture", "truth", f"FCN-32s {EVIL}", "FCN-16s"]
BLOCK, ROWS, COLUMNS = 8, 3, 4  # pictures here are blocks of one colour, 8x8 pixels each
TABLE = Table(
    ["network", "Jaccard", "s.d.", f"note {EVIL}", "empty"],
    [
        ["FCN-32s", "36.3 %", "\u00b10.4", EVIL, "-"],
        ["`FCN-16s`", "not reached", "-", "12.5", ""],
        ["32s", "1,047.5", "\u22121e-3", "kinds of it: 56", "-"],
        ["FCN-8s", "diverged", "", "none", ""],
    ],
)
WIDE = Table([f"column {c}" for c in range(30)], [[f"{c}.5" for c in range(30)]])
CLAIMS = [
    Verdict(f"name {v} {EVIL}", f"claim {v} {EVIL}", f"if {v} {EVIL}", f"unless {v} {EVIL}", v, f"{v}: {EVIL}")
    for v in ("supported", "refuted", "undecided", "refuted")
]


def scene(seed, void):
    """Its layers, (3, 4, 3) and (3, 4): a picture of any colours, and labels; the truth may be void in a corner."""
    rng = np.random.default_rng(seed)
    layers = {"picture": rng.integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)}
    layers |= {name: rng.integers(0, 3, (ROWS, COLUMNS), np.uint8) for name in LAYERS[1:]}
    layers["picture"][0, 0] = 255  # white, not void
    if void:
        layers["truth"][0, -1] = IGNORE_LABEL
    return layers


def in_blocks(x):
    """A picture (24, 32, 3) or labels (24, 32) of 8x8 blocks of what x holds."""
    return x.repeat(BLOCK, 0).repeat(BLOCK, 1)


def colours(x):
    """A layer as it is seen: (H, W, 3)."""
    return x if x.ndim == 3 else colourise(x, PALETTE)


def png(H, W):
    x = np.random.default_rng(H).integers(0, 256, (H, W, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(x).save(file, format="PNG")
    return x, file.getvalue()


SCENES = [scene(1, void=True), scene(2, void=False)]
DRAWING, DRAWING_PNG = png(300, 1400)
REPORT = [
    Heading(f"Title {EVIL}", 1),
    f"Text with `code {EVIL}` and {EVIL}\n\nSecond paragraph {LONG}",
    Heading(f"Heading {EVIL}"),
    TABLE,
    Heading("Twice", 3),
    WIDE,
    Plot("drawing", DRAWING_PNG, f"Drawing {EVIL}"),
    Heading("Twice", 3),
    *CLAIMS,
    Heading(LONG),
    Scenes("scenes", f"Scenes {EVIL}", [{k: in_blocks(x) for k, x in s.items()} for s in SCENES], CLASSES, PALETTE),
    Scenes("one", "One", [{"alone": in_blocks(SCENES[1]["picture"])}], CLASSES, PALETTE),
]
# All pictures of the page, as they are seen: (H, W, 3) each.
PICTURES = [DRAWING, *(colours(in_blocks(x)) for s in SCENES for x in s.values()), in_blocks(SCENES[1]["picture"])]
