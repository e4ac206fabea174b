"""Toytown's cars: a side view drawn once, pulled out to the car's width, and painted panel by panel in perspective."""

import numpy as np

from .canvas import CAR, UP, Colour, Frame, circle
from .paint import paint

# Side views, metres, from the front bumper (x = 0) over the roof to the rear: (x, y), and the corners between which the
# windscreen, the roof and the rear window lie.
SHAPES = {
    "saloon": [(0, .35), (.05, .72), (1.25, .92), (2.0, 1.42), (3.15, 1.42), (3.75, .98), (4.4, .9), (4.45, .35)],
    "hatchback": [(0, .35), (.05, .75), (.95, .95), (1.6, 1.5), (3.2, 1.5), (3.75, 1.0), (3.8, .75), (3.82, .35)],
    "estate": [(0, .38), (.05, .8), (1.2, 1.02), (1.9, 1.62), (3.9, 1.6), (4.4, 1.1), (4.5, .8), (4.5, .38)],
    "van": [(0, .4), (.05, .95), (.6, 1.2), (1.15, 2.05), (4.75, 2.1), (4.85, 1.4), (4.9, .8), (4.9, .4)],
}  # fmt: skip
HALF = 1.75 / 2  # of the width
SHADE = (0, 0, 0)  # the normal of what no sun reaches
# of a wheel: arch, tyre, rim, hub
RINGS = ((0.38, (14, 14, 16)), (0.33, (34, 34, 37)), (0.2, (178, 178, 182)), (0.07, (70, 70, 74)))
GLASS = np.array([62.0, 74, 86])
# What the panels across a car carry: from .. to in its height and in half of its width, and the colour.
BUMPER, GRILLE = (-0.25, 0.2, 1, -1, (40, 40, 44)), (0.4, 0.85, 0.5, -0.5, (34, 34, 38))
NUMBER_PLATE = (0.1, 0.38, 0.3, -0.3, (232, 226, 190))
LAMPS = [(0.5, 0.92, -0.96, -0.62), (0.5, 0.92, 0.96, 0.62)]
FRONT, REAR = ((236, 236, 225), (255, 246, 205)), ((170, 28, 26), (255, 60, 40))  # lamps, off and on


def draw_car(frame: Frame, shape: str, rng: np.random.Generator) -> None:
    """Paint a car of this shape whose middle stands at the frame's place, on its side of the road."""
    heading = (0.0 if frame.foot[0] > 0 else np.pi) + rng.normal(0, 0.06)  # radians from Z to X
    car = Car(frame, heading, np.array(SHAPES[shape]), paint(rng))
    near = 1.0 if (frame.camera.position - frame.foot) @ car.side > 0 else -1.0
    car.fill(car.across((0.1, 0.18), (car.length - 0.1, 0.18), -1, 1), (22, 22, 24), SHADE, CAR)
    car.draw_wheels(-near * HALF, SHADE)
    car.draw_panels()
    car.draw_side(near * HALF, near * car.side)
    car.draw_wheels(near * HALF, near * car.side)


class Car:
    """A side view, `profile` (n, 2), pulled out across to both sides of a place."""

    def __init__(self, frame: Frame, heading: float, profile: np.ndarray, colour: np.ndarray):
        self.canvas, self.camera, self.middle, self.depth = frame.canvas, frame.camera, frame.foot, frame.depth
        self.ahead = np.array([np.sin(heading), 0, np.cos(heading)])
        self.side = np.array([np.cos(heading), 0, -np.sin(heading)])
        self.profile, self.length, self.colour = profile, profile[-1, 0], colour

    def solid(self, xy, offset: float) -> np.ndarray:
        """Side-view positions (n, 2) at `offset` across the car -> world (n, 3)."""
        xy = np.atleast_2d(xy)
        return self.middle + (self.length / 2 - xy[:, :1]) * self.ahead + xy[:, 1:] * UP + offset * self.side

    def fill(self, points: np.ndarray, colour: Colour, normal, label: int | None = None) -> None:
        """Fill a plane polygon of the world (n, 3). Without a normal it shines by itself."""
        tone = colour if normal is None else self.canvas.weather.light(normal, self.depth)(colour)
        if corners := self.camera.outline(points):
            self.canvas.draw("polygon", corners, tone, label)

    def across(self, a, b, left: float, right: float) -> np.ndarray:
        """The panel between side-view positions a and b, (4, 3). left, right: places across, in halves of the width."""
        return np.concatenate([self.solid([a, b], right * HALF), self.solid([b, a], left * HALF)])

    def draw_panels(self) -> None:
        """Paint the panels across the car that face the camera: bumper, bonnet, windscreen, roof, rear window, tail."""
        night, last = self.canvas.weather.lamps, len(self.profile) - 2
        front, rear = ([(*lamp, colours[night]) for lamp in LAMPS] for colours in (FRONT, REAR))
        carried = {0: [BUMPER, GRILLE, *front, NUMBER_PLATE], last: [BUMPER, *rear, NUMBER_PLATE]}
        towards = self.camera.position - self.solid((self.profile[:-1] + self.profile[1:]) / 2, 0)
        for k in sorted(range(last + 1), key=lambda k: -np.linalg.norm(towards[k])):
            a, b = self.profile[k : k + 2]
            edge = (b - a) / np.hypot(*(b - a))
            normal = edge[1] * self.ahead + edge[0] * UP
            if normal @ towards[k] > 0:
                self.fill(self.across(a, b, -1, 1), self.colour, normal, CAR)
                pane = (0.1, 0.9, -0.86, 0.86, tuple(GLASS * (1.35 if normal[1] > 0.5 else 1.0)))
                low, high = (b, a) if k == last else (a, b)
                for bottom, top, left, right, colour in [pane] if k in (2, 4) else carried.get(k, []):
                    part = self.across(low + bottom * (high - low), low + top * (high - low), left, right)
                    self.fill(part, colour, None if night and colour in FRONT + REAR else normal)

    def draw_side(self, offset: float, normal) -> None:
        """Paint the side that faces the camera: body, windows with a pillar, sill, door lines, handles."""
        self.fill(self.solid(self.profile, offset), self.colour, normal, CAR)
        bonnet, screen, roof, rear = self.profile[2:6]
        belt, top = max(bonnet[1], rear[1]) + 0.03, roof[1] - 0.1
        split = (screen[0] + roof[0]) / 2 + 0.05
        front_foot, rear_foot = slope(bonnet, screen, belt) + 0.16, slope(rear, roof, belt) - 0.16
        front = [(front_foot, belt), np.add(screen, (0.05, -0.1)), (split - 0.05, top), (split - 0.05, belt)]
        back = [(split + 0.05, belt), (split + 0.05, top), np.add(roof, (-0.05, -0.1)), (rear_foot, belt)]
        boxes = [(0.02, 0.35, self.length - 0.02, 0.5, 0.55)]
        boxes += [(x - 0.015, 0.5, x + 0.02, belt, 0.6) for x in (front_foot, split, rear_foot)]
        boxes += [(x, belt - 0.16, x + 0.16, belt - 0.11, 0.5) for x in (split - 0.3, split + 0.8)]
        parts = [(front, GLASS), (back, GLASS * 0.85)]
        for x0, y0, x1, y1, shade in boxes:
            parts.append(([(x0, y0), (x0, y1), (x1, y1), (x1, y0)], shade * self.colour))
        for xy, colour in parts:
            self.fill(self.solid(xy, offset), colour, normal)

    def draw_wheels(self, offset: float, normal) -> None:
        """Paint two wheels in one side plane: arch, tyre, rim, hub."""
        for x in (0.17 * self.length, 0.82 * self.length):
            for radius, colour in RINGS[: 4 if np.any(normal) else 2]:
                self.fill(self.solid([x, 0.33] + radius * circle(14), offset), colour, normal, CAR)


def slope(low, high, y: float) -> float:
    """Where the line from one side-view position to another is y high."""
    return low[0] + (high[0] - low[0]) * (y - low[1]) / (high[1] - low[1])
