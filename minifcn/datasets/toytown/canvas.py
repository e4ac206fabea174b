"""The canvas of toytown: a pinhole camera, the light, and a picture painted together with its labels.

The world is in metres: X across the street, Y up, Z along it, the camera at Z = 0. Everything is painted at SCALE times
the final size, from far to near, each shape into the picture and, with its class, into the labels. At the end the
picture is averaged over SCALE x SCALE blocks; a block that holds more than one class becomes void, so that borders are
void like VOC's and a thin pole is as exactly labelled as a wall.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("sky", "building", "road", "pavement", "tree", "car", "person", "pole", "sign")
SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, PERSON, POLE, SIGN = range(len(CLASSES))
VOID = 255
GROUND = 254  # on the canvas only: ground that is not yet road or pavement
H, W, SCALE = 160, 192, 2
NEAR = 0.4  # metres: what is closer to the camera is clipped
UP = np.array([0.0, 1.0, 0.0])

Colour = Sequence[float]


def on_ground(place: Sequence[float]) -> np.ndarray:
    """A place (x, z) as a point (3,) of the world."""
    return np.array([place[0], 0.0, place[1]])


def circle(corners: int, turn: float = 0.0) -> np.ndarray:
    """A regular polygon in a circle of radius 1, (corners, 2); the first corner is `turn` of a turn above (1, 0)."""
    angles = 2 * np.pi * (np.arange(corners) / corners + turn)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


class Camera:
    """Pinhole camera. `matrix` (3, 4) takes (X, Y, Z, 1) to (u d, v d, d): canvas position times depth, and depth.

    It stands at `position` (X, Y, Z), turned from the street by `yaw` and about its axis by `roll`, radians; `focal`
    length and `horizon` are in final pixels. The horizon is shifted, as by an architect's shift lens, instead of
    tilting the camera: verticals stay parallel.
    """

    def __init__(self, position: Sequence[float], yaw: float, focal: float, horizon: float, roll: float):
        self.position, self.forward = np.asarray(position, float), np.array([np.sin(yaw), 0, np.cos(yaw)])
        self.right = np.array([np.cos(yaw), 0, -np.sin(yaw)])
        axes = np.stack([self.right, -UP, self.forward])  # (3, 3)
        outer = np.hstack([axes, -axes @ self.position[:, None]])  # (3, 4)
        self.focal, c, s = focal * SCALE, np.cos(roll), np.sin(roll)
        lens = np.array([[self.focal, 0, 0], [0, self.focal, (horizon - H / 2) * SCALE], [0, 0, 1]])
        turn = np.array([[c, -s, W * SCALE / 2], [s, c, H * SCALE / 2], [0, 0, 1]])
        self.matrix = turn @ lens @ outer

    def depth(self, point: Sequence[float]) -> float:
        """Distance of a point along the viewing direction, in metres."""
        return float(self.forward @ (np.asarray(point) - self.position))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (n, 3), all in front of the camera, to canvas positions (n, 2)."""
        q = self.homogeneous(points)
        return q[:, :2] / q[:, 2:]

    def homogeneous(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) as the rows (u d, v d, d) of an array."""
        return np.asarray(points, float) @ self.matrix[:, :3].T + self.matrix[:, 3]  # (n, 3)

    def outline(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Project a plane polygon (n, 3), cut at the near plane. Returns [] where nothing of it is on the canvas."""
        corners = [(u / d, v / d) for u, v, d in cut_near(self.homogeneous(points).tolist())]
        us, vs = zip(*corners, strict=True) if len(corners) >= 3 else ((-1,), (-1,))
        seen = max(us) > 0 and min(us) < W * SCALE and max(vs) > 0 and min(vs) < H * SCALE
        return corners if seen else []


def cut_near(q: list) -> list:
    """Cut a homogeneous polygon, a list of [u d, v d, d], at depth NEAR (Sutherland and Hodgman)."""
    kept = []
    for a, b in zip(q, q[1:] + q[:1], strict=True):
        if a[2] >= NEAR:
            kept.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            t = (NEAR - a[2]) / (b[2] - a[2])
            kept.append([i + (j - i) * t for i, j in zip(a, b, strict=True)])
    return kept


@dataclass
class Weather:
    """The hour and the weather: where the sun stands, the light, the haze and the sky."""

    sun: np.ndarray  # unit vector
    ambient: np.ndarray  # light of the sky, RGB
    direct: np.ndarray  # light of the sun
    haze: np.ndarray  # colour of the haze, and of the sky low down
    reach: float  # of the view through the haze, metres
    lamps: bool  # lit
    sky: tuple  # what draw_sky paints it from

    def light(self, normal: Colour, depth: float) -> Callable[[Colour], tuple[int, ...]]:
        """How colours are seen at this depth, on a surface with this unit normal: a function of a colour."""
        facing, clear = max(0.0, float(np.dot(normal, self.sun))), math.exp(-max(depth, 0) / self.reach)
        gain, veil = (self.ambient + self.direct * facing) * clear, self.haze * (1 - clear)
        return lambda colour: tuple(np.minimum(gain * colour + veil, 255).astype(int).tolist())


class Canvas:
    """A picture and its labels, painted together through one camera and in one weather."""

    def __init__(self, camera: Camera, weather: Weather, picture: np.ndarray, labels: np.ndarray):
        self.camera, self.weather = camera, weather
        self.picture, self.labels = Image.fromarray(picture), Image.fromarray(labels)
        self.brush, self.label_brush = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.labels)

    def draw(self, shape: str, points: Sequence, colour: Colour, label: int | None = None, **how) -> None:
        """Draw a shape by its name in Pillow into the picture and, with a label, into the labels.

        Details that stay inside their object need no label.
        """
        getattr(self.brush, shape)(points, fill=colour, **how)
        if label is not None:
            getattr(self.label_brush, shape)(points, fill=label, **how)

    def sheet(self, corner, along, up, size: tuple, texture: Callable, normal=None, outline=None) -> None:
        """Paint a plane side of a building, of `size` metres from `corner` along two unit vectors.

        outline: corners (x, y) of the part that is painted, in metres along the two; None paints the whole rectangle.
        texture: returns the image of the sheet; called only where some of it is seen.  normal: a unit vector; with it
        the sheet is lit, and seen from that side alone.
        """
        w, h = size
        outline = outline or ((0, 0), (w, 0), (w, h), (0, h))
        along, up, corner = (np.asarray(vector, float) for vector in (along, up, corner))
        points = self.camera.outline(np.stack([corner + x * along + y * up for x, y in outline]))
        if not points or (normal is not None and normal @ (self.camera.position - corner) <= 0):
            return
        image = texture()
        if normal is not None:
            tone = self.weather.light(normal, self.camera.depth(corner + w / 2 * along))
            image = image.point(np.transpose(tone(np.arange(256)[:, None])).ravel().tolist())
        xs, ys = zip(*points, strict=True)
        left, top = max(0, int(min(xs))), max(0, int(min(ys)))
        right, bottom = min(W * SCALE, int(max(xs)) + 2), min(H * SCALE, int(max(ys)) + 2)
        pixels = np.stack([along * w / image.width, -up * h / image.height, corner + up * h], axis=1)  # to the world
        box = np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
        lookup = np.linalg.inv(self.camera.matrix @ np.vstack([pixels, [0, 0, 1]])) @ box  # canvas -> texture
        coefficients = (lookup / lookup[2, 2]).ravel()[:8].tolist()
        margin = image.getpixel((image.width // 2, image.height // 3))  # rounding may look up just outside
        extent = (right - left, bottom - top)
        patch = image.transform(extent, Image.Transform.PERSPECTIVE, coefficients, fillcolor=margin)
        mask = Image.new("1", extent)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=1)
        self.picture.paste(patch, (left, top), mask)
        self.labels.paste(BUILDING, (left, top, right, bottom), mask)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Reduce to the final size: picture (H, W, 3) uint8, labels (H, W) uint8 with void where classes mix."""
        labels = np.asarray(self.labels)
        members = [labels[y::SCALE, x::SCALE] for y in range(SCALE) for x in range(SCALE)]  # far faster than blocks
        least, most = np.minimum.reduce(members), np.maximum.reduce(members)
        return np.asarray(self.picture.reduce(SCALE)), np.where(least == most, least, VOID).astype(np.uint8)


class Frame:
    """An upright sheet that faces the camera from a place (x, z): metres right and up of it -> canvas positions."""

    def __init__(self, canvas: Canvas, camera: Camera, place: Sequence[float]):
        self.canvas, self.camera, self.foot = canvas, camera, on_ground(place)
        sun = canvas.weather.sun
        self.depth = camera.depth(self.foot)
        foot, head = camera.project(np.stack([self.foot, self.foot + UP]))
        ux, uy = (head - foot).tolist()
        self.basis = (*foot.tolist(), -uy, ux, ux, uy)  # of the place, of right and of up
        self.unit = camera.focal / self.depth  # canvas pixels in a unit, a metre
        self.tone = canvas.weather.light(0.6 * sun, self.depth)  # a round thing: each side of it catches some sun
        self.sun = max(-1.0, min(1.0, float(2 * sun @ camera.right)))  # where the sun stands: -1 left, 1 right

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        u, v, rx, ry, ux, uy = self.basis
        return u + x * rx + y * ux, v + x * ry + y * uy

    def part(self, x: float, y: float, unit: float = 1.0, mirror: int = 1) -> "Frame":
        """The same sheet, measured from (x, y) in units of so many metres; with mirror -1, x is counted to the left."""
        part, across = copy(self), unit * mirror
        _, _, rx, ry, ux, uy = self.basis
        part.basis, part.unit = (*self(x, y), across * rx, across * ry, unit * ux, unit * uy), unit * self.unit
        return part

    def polygon(self, points: Sequence, colour: Colour, label: int | None = None) -> None:
        """Fill a polygon of places (x, y) on the sheet."""
        self.canvas.draw("polygon", [self(*point) for point in points], self.tone(colour), label)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour, label: int | None = None) -> None:
        """Fill an upright ellipse around a place (x, y) on the sheet."""
        (u, v), rx, ry = self(x, y), rx * self.unit, ry * self.unit
        self.canvas.draw("ellipse", (u - rx, v - ry, u + rx, v + ry), self.tone(colour), label)

    def trapezoid(self, x: float, y: float, half: float, top: float, rise: float, colour: Colour, label=None) -> None:
        """Fill a trapezoid that stands, or where `rise` is negative hangs, at (x, y): `half` its width, `top` above."""
        self.polygon([(x - half, y), (x + half, y), (x + top, y + rise), (x - top, y + rise)], colour, label)

    def limb(self, width: float, colour: Colour, label: int | None, *points: tuple) -> None:
        """Draw a line of this width through places (x, y), with round joints and ends."""
        ends, thick = [self(*point) for point in points], max(1, round(width * self.unit))
        self.canvas.draw("line", ends, self.tone(colour), label, width=thick)
        for point in points if thick > 3 else []:
            self.disc(*point, width / 2, width / 2, colour, label)
