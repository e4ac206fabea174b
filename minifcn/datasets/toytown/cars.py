"""Toytown's cars: a side view drawn once, pulled out to the car's width, and painted panel by panel in perspective."""

from itertools import pairwise

import numpy as np

from .canvas import CAR, UP, Colour, Frame
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
LAMPS = {"front": ((236, 236, 225), (255, 246, 205)), "rear": ((170, 28, 26), (255, 60, 40))}  # off and on
BUMPER, GRILLE = (-0.25, 0.2, -1, 1, (40, 40, 44)), (0.4, 0.85, -0.5, 0.5, (34, 34, 38))
NUMBER_PLATE = (0.1, 0.38, -0.3, 0.3, (232, 226, 190))


def draw_car(frame: Frame, shape: str, rng: np.random.Generator) -> None:
    """Paint a car of this shape whose middle stands at the frame's place, on its side of the road."""
    heading = (0.0 if frame.place[0] > 0 else np.pi) + rng.normal(0, 0.06)  # radians from Z to X
    car = Car(frame, heading, np.array(SHAPES[shape]), paint(rng))
    near = 1.0 if car.to_eye @ car.side > 0 else -1.0
    car.fill(car.across((0.1, 0.18), (car.length - 0.1, 0.18), -HALF, HALF), (22, 22, 24), SHADE, CAR)
    car.draw_wheels(-near * HALF, SHADE)
    car.draw_panels()
    car.draw_side(near * HALF, near * car.side)
    car.draw_wheels(near * HALF, near * car.side)


class Car:
    """A side view, `profile` (n, 2), pulled out across to both sides of a place."""

    def __init__(self, frame: Frame, heading: float, profile: np.ndarray, colour: np.ndarray):
        self.canvas, self.middle, self.depth = frame.canvas, frame.foot, frame.depth
        self.ahead = np.array([np.sin(heading), 0, np.cos(heading)])
        self.side = np.array([np.cos(heading), 0, -np.sin(heading)])
        self.profile, self.length, self.colour = profile, profile[-1, 0], colour
        self.to_eye = self.canvas.camera.position - self.middle

    def solid(self, xy, offset: float) -> np.ndarray:
        """Side-view positions (n, 2) at `offset` across the car -> world (n, 3)."""
        xy = np.atleast_2d(xy)
        return self.middle + (self.length / 2 - xy[:, :1]) * self.ahead + xy[:, 1:] * UP + offset * self.side

    def fill(self, points: np.ndarray, colour: Colour, normal, label: int | None = None) -> None:
        """Fill a plane polygon of the world (n, 3). Without a normal it shines by itself."""
        tone = colour if normal is None else self.canvas.weather.tone(colour, normal, self.depth)
        self.canvas.polygon(self.canvas.camera.outline(points), tone, label)

    def across(self, a, b, left: float, right: float) -> np.ndarray:
        """The panel between side-view positions a and b, from one place across the car to another: (4, 3)."""
        return np.concatenate([self.solid([a, b], right), self.solid([b, a], left)])

    def draw_panels(self) -> None:
        """Paint the panels across the car that face the camera: bumper, bonnet, windscreen, roof, rear window, tail."""
        faces = []
        for k, (a, b) in enumerate(pairwise(self.profile)):
            edge = (b - a) / np.hypot(*(b - a))
            normal = edge[1] * self.ahead + edge[0] * UP
            towards = self.canvas.camera.position - self.solid((a + b) / 2, 0)[0]
            if normal @ towards > 0:
                faces.append((-np.linalg.norm(towards), k, a, b, normal))
        for _, k, a, b, normal in sorted(faces, key=lambda face: face[0]):
            self.fill(self.across(a, b, -HALF, HALF), self.colour, normal, CAR)
            if k in (2, 4):
                glass = GLASS * (1.35 if normal[1] > 0.5 else 1.0)
                pane = self.across(a + 0.1 * (b - a), a + 0.9 * (b - a), -0.86 * HALF, 0.86 * HALF)
                self.fill(pane, glass, normal)
            elif k == 0:
                self.draw_end(a, b, normal, "front", [BUMPER, GRILLE])
            elif k == len(self.profile) - 2:
                self.draw_end(b, a, normal, "rear", [BUMPER])

    def draw_end(self, low, high, normal, end: str, parts: list) -> None:
        """Paint what a car's front or rear carries: bumper, grille, lights, number plate."""
        night = self.canvas.weather.lamps
        lamps = [(0.5, 0.92, side * 0.62, side * 0.96, LAMPS[end][night]) for side in (-1, 1)]
        for bottom, top, left, right, colour in [*parts, *lamps, NUMBER_PLATE]:
            a, b = low + bottom * (high - low), low + top * (high - low)
            shines = night and colour in LAMPS[end]
            self.fill(self.across(a, b, right * HALF, left * HALF), colour, None if shines else normal)

    def draw_side(self, offset: float, normal) -> None:
        """Paint the side that faces the camera: body, windows with a pillar, sill, door lines, handle."""

        def draw(xy, fill):
            self.fill(self.solid(xy, offset), fill, normal)

        def box(left, bottom, right, top, fill):
            draw([(left, bottom), (left, top), (right, top), (right, bottom)], fill)

        def slope(low, high, y):
            return low[0] + (high[0] - low[0]) * (y - low[1]) / (high[1] - low[1])

        self.fill(self.solid(self.profile, offset), self.colour, normal, CAR)
        bonnet, screen, roof, rear = self.profile[2:6]
        lift = np.array([0, -0.1])
        belt = max(bonnet[1], rear[1]) + 0.03
        split = (screen[0] + roof[0]) / 2 + 0.05
        front_foot, rear_foot = slope(bonnet, screen, belt) + 0.16, slope(rear, roof, belt) - 0.16
        draw(
            [(front_foot, belt), screen + lift + [0.05, 0], (split - 0.05, roof[1] - 0.1), (split - 0.05, belt)], GLASS
        )
        pane = [(split + 0.05, belt), (split + 0.05, roof[1] - 0.1), roof + lift - [0.05, 0], (rear_foot, belt)]
        draw(pane, GLASS * 0.85)
        box(0.02, 0.35, self.length - 0.02, 0.5, self.colour * 0.55)
        for x in (front_foot, split, rear_foot):
            box(x - 0.015, 0.5, x + 0.02, belt, self.colour * 0.6)
        for x in (split - 0.3, split + 0.8):
            box(x, belt - 0.16, x + 0.16, belt - 0.11, self.colour * 0.5)

    def draw_wheels(self, offset: float, normal) -> None:
        """Paint two wheels in one side plane: arch, tyre, rim, hub."""
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        for x in (0.17 * self.length, 0.82 * self.length):
            for radius, colour in RINGS[: 4 if np.any(normal) else 2]:
                self.fill(self.solid([x, 0.33] + radius * circle, offset), colour, normal, CAR)
