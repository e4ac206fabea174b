"""Toytown's paints: colours, shared by the classes so that colour tells little, and tiles of masonry."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from ...randomness import counted_rng

TILE_DENSITY = 24  # texture pixels in a metre
TILE_METRES = 20
LEAVES = (  # shares, added up; hue, saturation and value from .. to: green, autumn, blossom, dry
    (0.42, (0.16, 0.40), (0.12, 0.5), (0.35, 0.9)),
    (0.74, (-0.01, 0.14), (0.2, 0.6), (0.4, 0.95)),
    (0.84, (0.9, 0.97), (0.12, 0.35), (0.75, 0.95)),
    (1.0, (0.08, 0.6), (0.05, 0.2), (0.4, 0.75)),
)
MASONRY = {  # height and width of a piece and its joint, metres
    "brick": (0.26, 0.58, 0.045),
    "plaster": (100, 100, 0),
    "boards": (0.30, 100, 0.05),
    "panels": (2.9, 2.4, 0.06),
    "tiles": (0.36, 0.32, 0.07),
}


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Colour (3,) from 0 to 255; hue is a turn, 0 to 1."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def pick(rng: np.random.Generator, options: Sequence):
    """One of the options, each as likely (rng.choice would turn them into an array, at ten times the cost)."""
    return options[int(rng.integers(len(options)))]


def chosen(rng: np.random.Generator, part):
    """A number for what is given: itself, a tuple of its ends, or a list of options (of any kind)."""
    if isinstance(part, list):
        return pick(rng, part)
    return rng.uniform(*part) if isinstance(part, tuple) else part


def mix(rng: np.random.Generator, *recipe) -> np.ndarray:
    """Colour (3,) of a hue, a saturation and a value, each `chosen`."""
    return hsv(*(chosen(rng, part) for part in recipe))


def stone(rng: np.random.Generator) -> np.ndarray:
    """Colour of stone, asphalt or plaster: grey, beige, brown, red, greenish or bluish; dark to light."""
    hue, strength = pick(rng, ((0.01, 1), (0.05, 1), (0.09, 1), (0.12, 1), (0.25, 0.4), (0.60, 0.5)))
    saturation = strength * pick(rng, (0.05, 0.15, 0.35)) * rng.uniform(0.4, 1.4)
    return hsv(hue + rng.normal(0, 0.02), saturation, rng.uniform(0.28, 0.97))


def paint(rng: np.random.Generator) -> np.ndarray:
    """Colour of anything that people paint, sew or glaze: that of stone, of leaves, of the sky, or any other."""
    kind = rng.random()
    if kind < 0.6:
        return stone(rng) if kind < 0.3 else foliage(rng)
    if kind < 0.75:
        return mix(rng, (0.54, 0.64), (0.1, 0.55), (0.5, 1.0))
    return hsv(rng.random(), pick(rng, (0.3, 0.5, 0.75)) * rng.uniform(0.6, 1.2), rng.uniform(0.3, 0.95))


def foliage(rng: np.random.Generator) -> np.ndarray:
    """Colour of leaves in all seasons: green, autumn's yellow to red, blossom, dry grey-brown."""
    kind = rng.random()
    ranges = next(ranges for share, *ranges in LEAVES if kind < share)
    return mix(rng, *ranges)


def shifted(rng: np.random.Generator, colour: np.ndarray, low: float, high: float) -> np.ndarray:
    """The same colour, darker or lighter."""
    return np.clip(colour * rng.uniform(low, high), 0, 255)


@lru_cache
def noise() -> tuple[np.ndarray, np.ndarray]:
    """White noise, cut at 2, and blotches that tile: (256, 256) float32, mean 0 and deviation 1. Always the same."""
    white = np.clip(counted_rng(7, 256).standard_normal((256, 256), np.float32), -2, 2)
    frequency = np.fft.fftfreq(256)
    decay = 1 / (0.004 + frequency[:, None] ** 2 + frequency[None] ** 2)
    blotches = np.fft.ifft2(np.fft.fft2(white) * decay).real
    return white, ((blotches - blotches.mean()) / blotches.std()).astype(np.float32)


@lru_cache(maxsize=16)
def masonry(kind: str) -> Image.Image:
    """A grey tile of TILE_METRES x TILE_METRES: "brick", "plaster", "boards", "panels" or "tiles" (of a roof)."""
    n = TILE_METRES * TILE_DENSITY
    y, x = np.mgrid[:n, :n] / TILE_DENSITY
    white, blotches = noise()
    grain = np.tile(white, (n // 256 + 1, n // 256 + 1))[:n, :n]
    height, width, joint = MASONRY[kind]
    row = np.floor(y / height)
    across = x / width + 0.5 * (row % 2)
    column = np.floor(across)
    piece = white[(row.astype(int) * 37) & 255, (column.astype(int) * 91) & 255]
    blotch = blotches[(y * 9).astype(int) & 255, (x * 9).astype(int) & 255]
    tone = 205 + 11 * piece * (kind in ("brick", "tiles", "panels")) + 5 * grain + 7 * blotch
    tone = np.where(((y % height) < joint) | ((across - column) * width < joint), 95, tone)
    if kind == "tiles":  # each tile is rounded: lighter in its middle
        tone *= 0.82 + 0.25 * np.sin(np.pi * (across - column))
    return Image.fromarray(np.clip(tone, 0, 255).astype(np.uint8))


def wall(rng: np.random.Generator, kind: str, colour: np.ndarray, size: tuple, density: float) -> tuple:
    """A texture of masonry, `size` metres at some `density` pixels a metre; joints are dark, or of light mortar.

    Returns the image, and its pixels a metre.
    """
    tile = masonry(kind)
    w, h = (min(int(s * TILE_DENSITY), tile.width) for s in size)
    left, top = rng.integers(0, tile.width - w + 1), rng.integers(0, tile.height - h + 1)
    shape = (max(4, int(size[0] * density)), max(4, int(size[1] * density)))
    grey = tile.resize(shape, Image.Resampling.BILINEAR, box=(left, top, left + w, top + h), reducing_gap=1.0)
    joint = colour * 0.3 if kind != "brick" or rng.random() < 0.5 else 0.5 * colour + 95
    return tint(grey, joint, colour * 1.25), shape[0] / size[0]


def tint(grey: Image.Image, dark: np.ndarray, light: np.ndarray) -> Image.Image:
    """Colour a grey texture: its 80 and below become `dark`, its 255 `light`."""
    steps = np.clip((np.arange(256) - 80) / 175, 0, 1)[:, None]
    table = np.clip(dark + (light - dark) * steps, 0, 255).astype(np.uint8)  # (256, 3)
    coloured = grey.copy()
    coloured.putpalette(table.tobytes())
    return coloured.convert("RGB")
