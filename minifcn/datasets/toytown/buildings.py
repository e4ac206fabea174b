"""Toytown's buildings: boxes with textured facades, gables and roofs, in rows along the street and as a far skyline."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

import numpy as np
from PIL import Image, ImageDraw

from ...randomness import counted_rng
from .canvas import UP, Canvas, on_ground
from .paint import paint, pick, shifted, stone, tint, wall

FLOOR = 3.0  # metres
ALONG = (0.0, 0.0, 1.0)  # the street


@dataclass
class Building:
    """A box from X = `front`, the facade, to `back`, from z0 to z1; `height` to the eaves, `ridge` above them."""

    front: float
    back: float
    z0: float
    z1: float
    height: float
    ridge: float

    def footprint(self) -> np.ndarray:
        """The corners on the ground, (4, 3)."""
        corners = ((self.front, self.z0), (self.front, self.z1), (self.back, self.z1), (self.back, self.z0))
        return np.stack([on_ground(corner) for corner in corners])

    def shadow(self, sun: np.ndarray) -> list[np.ndarray]:
        """The shadow of the box on the ground: polygons (n, 3)."""
        corners = self.footprint()
        shift = on_ground(-sun[[0, 2]]) / max(sun[1], 0.12) * (self.height + 0.5 * self.ridge)
        sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
        return [corners + shift] + [np.stack([a, b, b + shift, a + shift]) for a, b in sides]


def draw_building(canvas: Canvas, box: Building, rng: np.random.Generator) -> None:
    """Paint the sides of a building that face the camera: gables, roof, facade."""
    colour = stone(rng) if rng.random() < 0.5 else paint(rng)
    kind = pick(rng, ["brick", "brick", "plaster", "plaster", "boards", "panels"])
    eye, side = canvas.camera.position, np.sign(box.front - box.back)
    nearest = np.array([box.front, 0, np.clip(eye[2], box.z0, box.z1)])
    density = float(np.clip(canvas.camera.focal / max(np.linalg.norm(nearest - eye), 4), 3, 26))
    for z, out in ((box.z0, -1.0), (box.z1, 1.0)):
        draw_gable(canvas, box, z, out, kind, colour, density, rng)
    if box.ridge:
        draw_roof(canvas, box, side, density, rng)
    size = (box.z1 - box.z0, box.height)
    front = partial(facade, rng, kind, colour, size, density, canvas.weather.lamps)
    canvas.sheet((box.front, 0, box.z0), ALONG, UP, size, front, (side, 0, 0))


def draw_gable(canvas: Canvas, box: Building, z: float, out: float, kind, colour, density, rng) -> None:
    """Paint an end wall, with the triangle below the ridge and few windows."""
    width, height, top = abs(box.back - box.front), box.height, box.height + box.ridge

    def texture() -> Image.Image:
        image, d = wall(rng, kind, shifted(rng, colour, 0.85, 1.05), (width, top), min(density, 16))
        if rng.random() < 0.7:
            pane = window(rng, 1.1 * d, 1.4 * d, np.array([200.0, 200, 195]), False)
            for floor in range(int(height / FLOOR)):
                image.paste(pane, (int(0.45 * width * d), int((top - floor * FLOOR - 2.4) * d)))
        return image

    corner, along = (box.front, 0, z), (np.sign(box.back - box.front), 0, 0)
    outline = ((0, 0), (width, 0), (width, height), (width / 2, top), (0, height))
    canvas.sheet(corner, along, UP, (width, top), texture, (0, 0, out), outline)


def draw_roof(canvas: Canvas, box: Building, side: float, density: float, rng: np.random.Generator) -> None:
    """Paint the tiled slope from the eaves to the ridge, with dormers."""
    run, length = abs(box.back - box.front) / 2, box.z1 - box.z0
    slope = float(np.hypot(run, box.ridge))
    up, normal = np.array([[-side * run, box.ridge, 0], [side * box.ridge, run, 0]]) / slope

    def texture() -> Image.Image:
        image, d = wall(rng, "tiles", stone(rng), (length, slope), min(density, 14))
        for z in np.arange(1.5, length - 2.2, rng.uniform(3, 6)) if rng.random() < 0.6 else []:
            pane = window(rng, 1.0 * d, 1.2 * d, np.array([90.0, 85, 85]), canvas.weather.lamps)
            image.paste(pane, (int(z * d), int(0.35 * slope * d)))
        return image

    canvas.sheet((box.front, box.height, box.z0), ALONG, up, (length, slope), texture, normal)


# panes, to be stretched: the mirrored sky over a dark room, and the light of a lamp
GLASS = np.uint8([[[(150, 166, 186)], [(42, 50, 62)]], [[(255, 228, 150)], [(240, 190, 115)]]])  # (2, 2, 1, 3)


def rgb(colour: np.ndarray) -> tuple[int, ...]:
    """A colour (3,) as Pillow takes it."""
    return tuple(colour.astype(int).tolist())


def fill_box(brush, d: float, left: float, top: float, right: float, bottom: float, fill: tuple[int, ...]) -> None:
    """Fill a rectangle that is given in metres, at d pixels a metre."""
    brush.rectangle((left * d, top * d, right * d, bottom * d), fill=fill)


def window(rng: np.random.Generator, w: float, h: float, frame: np.ndarray, night: bool) -> Image.Image:
    """A window of w x h texture pixels: frame, glass with the mirrored sky over a dark room, bars, curtain."""
    w, h = max(2, round(w)), max(2, round(h))
    lit = night and rng.random() < 0.45
    if w < 4 or h < 4:
        return Image.new("RGB", (w, h), (235, 190, 110) if lit else (60, 66, 76))
    image = Image.new("RGB", (w, h), rgb(frame))
    brush, rim = ImageDraw.Draw(image), max(1, round(0.08 * w))
    glass = Image.fromarray(GLASS[int(lit)])
    image.paste(glass.resize((w - 2 * rim, h - 2 * rim), Image.Resampling.BILINEAR), (rim, rim))
    if rng.random() < 0.5:
        cloth, side = rgb(paint(rng)), max(1, int(0.22 * w))
        for left in (rim, w - rim - side - 1):
            brush.rectangle((left, rim, left + side, h - rim - 1), fill=cloth)
    bar = rgb(frame * 0.95)
    if rng.random() < 0.8:
        brush.rectangle((w // 2 - rim // 2, 0, w // 2 + (rim - 1) // 2, h), fill=bar)
    if rng.random() < 0.6:
        brush.rectangle((0, int(0.35 * h), w, int(0.35 * h) + rim - 1), fill=bar)
    return image


def facade(rng, kind: str, colour: np.ndarray, size: tuple[float, float], density: float, night: bool) -> Image.Image:
    """The street side of a house: floors of windows over a ground floor with doors or shops, cornice and plinth."""
    image, d = wall(rng, kind, colour, size, density)
    box = partial(fill_box, ImageDraw.Draw(image), d)
    frame = np.array([225.0, 222, 215]) if rng.random() < 0.6 else shifted(rng, paint(rng), 0.6, 1.0)
    trim, dark = rgb(np.clip(0.45 * colour + 110, 0, 255)), rgb(0.5 * colour)
    width, tall = rng.uniform(0.9, 1.7), rng.uniform(1.4, 2.0)
    panes = [window(rng, width * d, tall * d, frame, night) for _ in range(4)]
    shutters = rgb(paint(rng)) if rng.random() < 0.3 else None
    columns = max(1, int(size[0] / (width + rng.uniform(0.9, 1.7))))
    pitch = size[0] / columns
    shop = rng.random() < 0.4
    if shop:
        draw_shop(box, size, rng, night)
    for floor in range(int(shop), max(1, round(size[1] / FLOOR))):
        base = size[1] - floor * FLOOR
        if floor and rng.random() < 0.5:
            box(0, base - 0.1, size[0], base + 0.08, trim)
        door = rng.integers(columns) if floor == 0 else -1
        for column in range(columns):
            x, y = (column + 0.5) * pitch - width / 2, base - 0.85 - tall
            if column == door:
                draw_door(box, x + width / 2, size[1], rng, trim)
                continue
            box(x - 0.1, y - 0.14, x + width + 0.1, y + tall + 0.16, trim)
            if shutters:
                box(x - 0.45, y, x - 0.02, y + tall, shutters)
                box(x + width + 0.02, y, x + width + 0.45, y + tall, shutters)
            image.paste(panes[rng.integers(4)], (int(x * d), int(y * d)))
    box(0, 0, size[0], 0.3, trim)
    box(0, 0.3, size[0], 0.4, dark)
    box(0, size[1] - 0.35, size[0], size[1] + 1, dark)
    return image


def draw_door(box: Callable, x: float, ground: float, rng: np.random.Generator, trim: tuple) -> None:
    """A panelled door with a light over it, `x` metres from the facade's edge."""
    leaf = shifted(rng, paint(rng), 0.5, 0.9)
    box(x - 0.7, ground - 2.7, x + 0.7, ground, trim)
    box(x - 0.55, ground - 2.5, x + 0.55, ground, rgb(leaf))
    box(x - 0.45, ground - 2.42, x + 0.45, ground - 2.1, (120, 130, 140))
    for top, left in product((1.85, 0.95), (-0.42, 0.06)):
        box(x + left, ground - top, x + left + 0.36, ground - top + 0.7, rgb(leaf * 0.75))


def draw_shop(box: Callable, size: tuple[float, float], rng: np.random.Generator, night: bool) -> None:
    """A shop front: sign board, striped awning, large panes with goods, a door."""
    ground, x = size[1], 0.5
    board, stripe = shifted(rng, paint(rng), 0.6, 1.0), paint(rng)
    glass = (250, 222, 160) if night and rng.random() < 0.7 else (74, 84, 92)
    box(0.2, ground - 2.9, size[0] - 0.2, ground, rgb(board))
    while x + 1.2 < size[0] - 0.3:
        w = min(rng.uniform(1.2, 2.6), size[0] - 0.4 - x)
        box(x, ground - 2.2, x + w, ground - 0.6, glass)
        for _ in range(int(3 * w)):
            left, tall = x + rng.uniform(0, w - 0.3), rng.uniform(0.2, 0.8)
            box(left, ground - 0.6 - tall, left + 0.28, ground - 0.62, rgb(0.8 * paint(rng)))
        x += w + 0.25
    if rng.random() < 0.6:
        for k in range(int((size[0] - 0.6) / 0.4)):
            left = 0.3 + 0.4 * k
            box(left, ground - 2.75, left + 0.4, ground - 1.95, (235, 232, 225) if k % 2 else rgb(stripe))


@lru_cache(maxsize=1)
def far_facades() -> list[Image.Image]:
    """Grey facades for the skyline, where only their rows of windows can be seen. Always the same."""
    rng, grey = counted_rng(11), np.array([190.0, 190, 190])
    return [facade(rng, "plaster", grey, (18, rng.uniform(9, 30)), 5, False).convert("L") for _ in range(12)]


def draw_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a ring of far buildings, each turned to the camera: they close the view where the street does not."""
    camera, right = canvas.camera, canvas.camera.right
    for depth in np.sort(rng.uniform(65, 190, 12))[::-1]:
        grey, colour = pick(rng, far_facades()), stone(rng)
        tone = canvas.weather.light(-camera.forward, depth)
        dark, light = np.array([tone(0.35 * colour), tone(1.2 * colour)])
        width, height = rng.uniform(12, 30), grey.height / 5
        foot = camera.position * [1, 0, 1] + camera.forward * depth + right * rng.uniform(-0.62, 0.62) * depth
        corner = foot - right * width / 2
        canvas.sheet(corner, right, UP, (width, height), partial(tint, grey, dark, light))
