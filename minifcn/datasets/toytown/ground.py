"""What toytown's scenes stand on and under: the ground with road and pavement, and the sky, as whole arrays."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .canvas import GROUND, PAVEMENT, ROAD, SCALE, SKY, Camera, Canvas, H, W, Weather
from .paint import noise, stone

FAR = 300.0  # metres: where the ground ends
LAMPLIGHT = (0.75, 0.58, 0.32)  # RGB, below the lamp


@dataclass
class Street:
    """The plan: a road along Z with pavements to both facades, perhaps a road across it."""

    road: float  # width of the road
    facade: float  # X of the facades, where the pavements end
    crossing: float  # Z of the middle of the road across; far away where there is none
    crossing_width: float
    zebra: float  # Z where a zebra crossing starts; far away where there is none


def draw_ground(canvas: Canvas, street: Street, casts: list, pools: list, rng: np.random.Generator) -> Canvas:
    """Return the canvas with road and pavement on what is bare GROUND, once everything that stands on it is painted.

    `casts` are shadow polygons (n, 3) on the ground, `pools` the places (x, z) of lamps that shine on it. Only the
    visible positions are computed, as flat arrays.
    """
    labels = np.array(canvas.labels)
    bare = np.flatnonzero(labels == GROUND)
    if bare.size == 0:
        return canvas
    v, u = np.divmod(bare, W * SCALE)
    x, z, depth = ground_positions(canvas.camera, u.astype(np.float32), v.astype(np.float32))
    white, smooth = (tile.ravel() for tile in noise())
    grain = white[tile_places(x, z, speckle(canvas.camera.focal / depth))]
    blotch = smooth[tile_places(x, z, 8)]
    on_road = (np.abs(x) < street.road / 2) | (np.abs(z - street.crossing) < street.crossing_width / 2)
    tone = np.where(on_road, asphalt(x, z, grain, blotch, street, rng), paving(x, z, grain, white, depth, rng))
    marks = markings(x, z, street, rng) & on_road & (blotch + 0.4 * grain > -1.2)
    mark_colour = (225, 190, 90) if rng.random() < 0.2 else (222, 222, 216)
    kerb = ~on_road & (np.abs(x) < street.road / 2 + 0.22)

    weather, sun = canvas.weather, 1 - shadow_mask(canvas.camera, casts)[v // SCALE, u // SCALE]
    glow = sum(np.exp(-((x - float(a)) ** 2 + (z - float(b)) ** 2) / 14) for a, b in pools)
    veil = 1 - np.exp(-depth / np.float32(weather.reach))
    paints = [0.82 * stone(rng), stone(rng), mark_colour]
    lights = [weather.ambient, weather.direct * weather.sun[1], weather.haze, LAMPLIGHT]
    ground = np.empty((bare.size, 3), np.uint8)
    for c, (road, pavement, mark, ambient, direct, haze, lamp) in enumerate(np.float32([*paints, *lights]).T):
        colour = np.where(on_road, road, pavement) * tone
        colour[kerb] = 0.5 * colour[kerb] + 95
        colour[marks] = mark
        fall = ambient * (0.78 + 0.22 * sun) + direct * sun + lamp * glow
        ground[:, c] = np.clip(colour * fall * (1 - veil) + haze * veil, 0, 255)
    picture = np.array(canvas.picture)
    picture.reshape(-1, 3)[bare] = ground
    labels.ravel()[bare] = np.where(on_road, ROAD, PAVEMENT)
    return Canvas(canvas.camera, weather, picture, labels)


def ground_positions(camera: Camera, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays through canvas positions meet the ground: X, Z, depth, float32. Depth is FAR above the horizon."""
    lookup = np.linalg.inv(camera.matrix[:, [0, 2, 3]]).astype(np.float32)
    x, z, t = (row[0] * u + row[1] * v + row[2] for row in lookup)
    depth = 1 / np.maximum(t, np.float32(1 / FAR))
    return x * depth, z * depth, depth


def speckle(density: np.ndarray) -> np.ndarray:
    """Cells of noise a metre. Their size halves with the distance, so that near or far the grain of asphalt spans some
    2 canvas pixels: a photograph resolves grains of every size, down to its pixels."""
    return np.exp2(np.floor(np.log2(np.minimum(density, 160) / 1.6))).astype(np.float32)


def tile_places(x: np.ndarray, z: np.ndarray, cells_per_metre) -> np.ndarray:
    """Where ground positions read a flat tile of 256 x 256 values."""
    return ((x * cells_per_metre).astype(np.int32) & 255) * 256 + ((z * cells_per_metre).astype(np.int32) & 255)


def asphalt(X, Z, grain, blotch, street: Street, rng: np.random.Generator) -> np.ndarray:
    """Tone of the road, around 1: fine speckle, blotches, worn wheel tracks, patches of repair."""
    tone = 0.92 + 0.17 * grain + 0.03 * blotch - 0.06 * np.cos(X * (4 * np.pi / street.road))
    for _ in range(rng.integers(0, 3)):
        x, z, dx, dz = rng.uniform(-4, 4), rng.uniform(2, 25), rng.uniform(0.5, 1.6), rng.uniform(0.5, 3)
        tone[(np.abs(X - x) < dx) & (np.abs(Z - z) < dz)] *= rng.uniform(0.7, 0.85)
    return tone.astype(np.float32)


def paving(X, Z, grain, white, depth, rng: np.random.Generator) -> np.ndarray:
    """Tone of the pavement, around 1: slabs in courses, each of its own tone, and dark joints."""
    fade = 1 / np.sqrt(1 + (depth / 30) ** 2)  # far texture is finer than a pixel
    size = rng.uniform(0.5, 1.1)
    length = size * rng.choice([1.0, 1.0, 1.6])
    bond = rng.choice([0.0, 0.5])
    x = X / np.float32(size)
    i = np.floor(x)
    z = Z / np.float32(length) + np.float32(bond) * i
    j = np.floor(z)
    joint = ((x - i) < 0.10) | ((z - j) < 0.11 * size / length)
    slab = white[(i.astype(np.int32) * 71 + j.astype(np.int32) * 1931) & 65535]
    tone = 1 + 0.02 * grain + rng.uniform(0.06, 0.12) * slab * fade
    return (tone * (1 - rng.uniform(0.45, 0.6) * joint * fade)).astype(np.float32)


def markings(X, Z, street: Street, rng: np.random.Generator) -> np.ndarray:
    """Where the road is painted: dashes along the middle, lines at the edges, a zebra crossing."""
    across, half = np.abs(X), street.road / 2
    clear = np.abs(Z - street.crossing) > street.crossing_width / 2 + 1
    period = rng.uniform(3, 6)
    marks = (across < 0.1) & ((Z % period) < 0.55 * period)
    if rng.random() < 0.6:
        marks |= (across > half - 0.5) & (across < half - 0.33)
    if rng.random() < 0.3:
        marks |= (np.abs(across - half / 2) < 0.08) & ((Z % 2) < 1.2)
    zebra = (Z > street.zebra) & (Z < street.zebra + 3)
    marks = np.where(zebra, ((X + 50) % 1.1) < 0.55, marks) & clear
    side = (np.abs(Z - street.crossing) < 0.1) & ((X % period) < 0.5 * period) & (across > half + 1)
    return marks | side


def shadow_mask(camera: Camera, casts: list) -> np.ndarray:
    """Rasterise shadow polygons (each (n, 3) on the ground) at the final size: (H, W) float32, 1 in full shadow."""
    mask = Image.new("L", (W, H))
    brush = ImageDraw.Draw(mask)
    for points in filter(None, map(camera.outline, casts)):
        brush.polygon([(x / SCALE, y / SCALE) for x, y in points], fill=255)
    return np.asarray(mask.filter(ImageFilter.BoxBlur(0.7)), np.float32) / 255


def draw_sky(weather: Weather, rng: np.random.Generator) -> np.ndarray:
    """Return the sky over the canvas, (SH, SW, 3) uint8: a gradient, clouds in octaves of noise, perhaps stars.

    weather.sky: the colours overhead and of clouds, how much and how crisp the clouds, the gradient's power, stars.
    """
    *colours, cover, crisp, power, stars = weather.sky
    h, w = H // 2, W // 2  # the sky is soft: a quarter of the pixels will do
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None, None] ** power
    top, white, low = np.float32([*colours, weather.haze])
    colours = top * (1 - y) + low * y
    clouds = np.zeros((h, w), np.float32)
    wide = rng.uniform(1, 3)
    for octave in range(5):
        cells = (max(2, int(5 * 2**octave / wide)), 3 * 2**octave)
        patch = Image.fromarray(rng.random(cells[::-1], dtype=np.float32))
        clouds += np.asarray(patch.resize((w, h), Image.Resampling.BICUBIC)) * 0.55**octave
    clouds = (clouds - clouds.mean()) / clouds.std()
    cover = np.clip((clouds + cover) * crisp, 0, 1)[..., None]
    # the sunny side of a cloud is where the noise falls off towards the sun
    relief = np.clip(clouds - np.roll(clouds, (2, -1), axis=(0, 1)), -1, 1)[..., None]
    body = white * (1 + 0.16 * relief) - 14 * np.clip(clouds, 0, 2)[..., None]
    colours = colours * (1 - cover) + body * cover
    if stars:
        ys, xs = rng.integers(0, h, 40), rng.integers(0, w, 40)
        colours[ys, xs] += rng.uniform(20, 120, (40, 1)) * (1 - cover[ys, xs])
    image = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    return np.asarray(image.resize((W * SCALE, H * SCALE), Image.Resampling.BICUBIC))


def bare_labels(camera: Camera) -> np.ndarray:
    """Labels (SH, SW) uint8 of the empty canvas: SKY above the horizon, GROUND, yet to be filled, below."""
    u, v = np.arange(W * SCALE, dtype=np.float32)[None], np.arange(H * SCALE, dtype=np.float32)[:, None]
    return np.where(ground_positions(camera, u, v)[2] < FAR, GROUND, SKY).astype(np.uint8)
