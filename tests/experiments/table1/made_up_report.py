"""A report with every kind of block, made up to break the page: its texts are markup, its pictures noise and blocks."""

import io

import numpy as np
from PIL import Image

from experiments.table1.blocks import Claim, Heading, Plot, Report, Scenes, Table, Text, Verdict
from minifcn.figures import VOID_COLOUR

EVIL = """<script>hit = 1</script><img src=x onerror="hit = 1"> "double" 'single' & &amp; </style></title>%s {x}"""
LONG = "incomprehensibility" * 8
PALETTE = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
CLASSES = ["ground", f"car {EVIL}", "`tree`"]
LAYERS = ["picture", "truth", f"FCN-32s {EVIL}", "FCN-16s"]
BLOCK, ROWS, COLUMNS = 8, 3, 4  # pictures here are blocks of one colour, 8x8 pixels each
HEADER = ["network", "Jaccard", "s.d.", f"note {EVIL}", "empty"]
CELLS = [
    ["FCN-32s", "36.3 %", "\u00b10.4", EVIL, "-"],
    ["`FCN-16s`", "not reached", "-", "12.5", ""],
    ["32s", "1,047.5", "\u22121e-3", "56 kinds of it", "-"],
]
WIDE = Table([f"column {c}" for c in range(30)], [[f"{c}.5" for c in range(30)]])
CLAIMS = [
    Verdict(Claim(f"name {v} {EVIL}", f"claim {v} {EVIL}", f"if {v} {EVIL}", f"unless {v} {EVIL}"), v, f"{v}: {EVIL}")
    for v in ("supported", "refuted", "undecided", "refuted")
]


def blocks_of(colours):
    """A picture (24, 32, 3) of blocks in these colours (3, 4, 3)."""
    return np.kron(colours, np.ones((BLOCK, BLOCK, 1), np.uint8))


def scene(seed, void):
    """Its layers as blocks (3, 4, 3): a picture of any colours, and labels; the truth may be void in a corner."""
    rng = np.random.default_rng(seed)
    colours = {"picture": rng.integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)}
    colours |= {name: PALETTE[rng.integers(0, 3, (ROWS, COLUMNS))] for name in LAYERS[1:]}
    if void:
        colours["truth"][0, -1] = VOID_COLOUR
    return colours


SCENES = [scene(1, void=True), scene(2, void=False)]


def png(H, W):
    x = np.random.default_rng(H).integers(0, 256, (H, W, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(x).save(file, format="PNG")
    return x, file.getvalue()


DRAWING, DRAWING_PNG = png(300, 1400)
REPORT = Report(
    f"Title {EVIL}",
    [
        Text(f"Text with `code {EVIL}` and {EVIL}\n\nSecond paragraph {LONG}"),
        Heading(f"Heading {EVIL}"),
        Table(HEADER, CELLS),
        Heading("Twice", 3),
        WIDE,
        Plot("drawing", DRAWING_PNG, f"Drawing {EVIL}"),
        Heading("Twice", 3),
        *CLAIMS,
        Heading(LONG),
        Scenes("scenes", f"Scenes {EVIL}", [{k: blocks_of(x) for k, x in s.items()} for s in SCENES], CLASSES, PALETTE),
        Scenes("one", "One", [{"alone": blocks_of(SCENES[1]["picture"])}], CLASSES, PALETTE),
    ],
)
