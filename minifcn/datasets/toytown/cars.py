"""Toytown's cars: a side view drawn once, pulled out to the car's width, and painted panel by panel in perspective."""

from itertools import pairwise

import numpy as np

from .canvas import CAR, Canvas
from .paint import paint

# Side views, metres, from the front bumper (x = 0) over the roof to the rear: (x, y), and the corners between which the
# windscreen, the roof and the rear window lie.
SHAPES = {
    "saloon": [(0, .35), (.05, .72), (1.25, .92), (2.0, 1.42), (3.15, 1.42), (3.75, .98), (4.4, .9), (4.45, .35)],
    "hatchback": [(0, .35), (.05, .75), (.95, .95), (1.6, 1.5), (3.2, 1.5), (3.75, 1.0), (3.8, .75), (3.82, .35)],
    "estate": [(0, .38), (.05, .8), (1.2, 1.02), (1.9, 1.62), (3.9, 1.6), (4.4, 1.1), (4.5, .8), (4.5, .38)],
    "van": [(0, .4), (.05, .95), (.6, 1.2), (1.15, 2.05), (4.75, 2.1), (4.85, 1.4), (4.9, .8), (4.9, .4)],
}  # fmt: skip
WIDTH = 1.75
# of a wheel: arch, tyre, rim, hub
RINGS = ((0.38, (14, 14, 16)), (0.33, (34, 34, 37)), (0.2, (178, 178, 182)), (0.07, (70, 70, 74)))
GLASS = np.array([62.0, 74, 86])


def draw_car(canvas: Canvas, place, heading: float, shape: str, rng: np.random.Generator) -> None:
    """Paint a car whose middle stands at `place` (x, z); its front points along `heading`, radians from Z to X."""
    profile = np.array(SHAPES[shape])
    length = profile[-1, 0]
    ahead, side = np.array([np.sin(heading), 0, np.cos(heading)]), np.array([np.cos(heading), 0, -np.sin(heading)])
    middle = np.array([place[0], 0.0, place[1]])

    def solid(xy, offset):
        """Side-view positions (n, 2) at `offset` across the car -> world (n, 3)."""
        xy = np.atleast_2d(xy)
        return middle + (length / 2 - xy[:, :1]) * ahead + xy[:, 1:] * [0, 1, 0] + offset * side

    to_eye = canvas.camera.position - middle
    near = 1.0 if to_eye @ side > 0 else -1.0
    depth = canvas.camera.depth(middle)

    def tone(colour, normal):
        return canvas.light.tone(colour, normal, depth)

    colour = paint(rng)
    half = WIDTH / 2
    under = across(solid, (0.1, 0.18), (length - 0.1, 0.18), -half, half)
    canvas.face(under, tone(np.array([22.0, 22, 24]), (0, 0, 0)), CAR)
    draw_wheels(canvas, solid, -near * half, length, tone, (0, 0, 0))
    panels(canvas, solid, profile, colour, half, tone, ahead)
    draw_side(canvas, solid, profile, colour, near * half, near * side, tone)
    draw_wheels(canvas, solid, near * half, length, tone, near * side)


def panels(canvas: Canvas, solid, profile, colour, half: float, tone, ahead) -> None:
    """Paint the panels across the car that face the camera: bumper, bonnet, windscreen, roof, rear window, tail."""
    faces = []
    for k, (a, b) in enumerate(pairwise(profile)):
        edge = (b - a) / np.hypot(*(b - a))
        normal = edge[1] * ahead + np.array([0, edge[0], 0])
        towards = canvas.camera.position - solid((a + b) / 2, 0)[0]
        if normal @ towards > 0:
            faces.append((-np.linalg.norm(towards), k, normal))
    for _, k, normal in sorted(faces, key=lambda face: face[0]):
        a, b = profile[k], profile[k + 1]
        canvas.face(across(solid, a, b, -half, half), tone(colour, normal), CAR)
        if k in (2, 4):
            p, q = a + 0.1 * (b - a), a + 0.9 * (b - a)
            glass = GLASS * (1.35 if normal[1] > 0.5 else 1.0)
            canvas.face(across(solid, p, q, -0.86 * half, 0.86 * half), tone(glass, normal))
        elif k in (0, len(profile) - 2):
            draw_face(canvas, solid, a, b, half, tone, normal, front=k == 0)


def across(solid, a, b, left: float, right: float) -> np.ndarray:
    """The panel between side-view positions a and b, from one place across the car to another: (4, 3)."""
    return np.concatenate([solid([a, b], right), solid([b, a], left)])


def draw_face(canvas: Canvas, solid, a, b, half: float, tone, normal, front: bool) -> None:
    """Paint what a car's front or rear carries: lights, number plate, bumper, grille."""

    base, top = (0.0, 1.0) if front else (1.0, 0.0)

    def patch(low, high, left, right, colour, lit=False):
        p, q = (a + (base + (top - base) * t) * (b - a) for t in (low, high))
        fill = colour if lit else tone(np.asarray(colour, float), normal)
        canvas.face(across(solid, p, q, right * half, left * half), fill)

    night = canvas.light.lamps
    if front:
        lamp = (255, 246, 205) if night else (236, 236, 225)
    else:
        lamp = (255, 60, 40) if night else (170, 28, 26)
    patch(-0.25, 0.2, -1, 1, (40, 40, 44))
    if front:
        patch(0.4, 0.85, -0.5, 0.5, (34, 34, 38))
    for side in (-1, 1):
        patch(0.5, 0.92, side * 0.62, side * 0.96, lamp, lit=night)
    patch(0.1, 0.38, -0.3, 0.3, (232, 226, 190))


def draw_side(canvas: Canvas, solid, profile, colour, offset: float, normal, tone) -> None:
    """Paint the side that faces the camera: body, windows with a pillar, sill, door lines, handle."""
    canvas.face(solid(profile, offset), tone(colour, normal), CAR)

    def draw(xy, fill):
        canvas.face(solid(xy, offset), tone(fill, normal))

    def box(left, bottom, right, top, fill):
        draw([(left, bottom), (left, top), (right, top), (right, bottom)], fill)

    bonnet, screen, roof, rear = profile[2:6]
    lift = np.array([0, -0.1])
    belt = max(bonnet[1], rear[1]) + 0.03
    split = (screen[0] + roof[0]) / 2 + 0.05

    def slope(low, high, y):
        return low[0] + (high[0] - low[0]) * (y - low[1]) / (high[1] - low[1])

    front_foot, rear_foot = slope(bonnet, screen, belt) + 0.16, slope(rear, roof, belt) - 0.16
    draw([(front_foot, belt), screen + lift + [0.05, 0], (split - 0.05, roof[1] - 0.1), (split - 0.05, belt)], GLASS)
    pane = [(split + 0.05, belt), (split + 0.05, roof[1] - 0.1), roof + lift - [0.05, 0], (rear_foot, belt)]
    draw(pane, GLASS * 0.85)
    box(0.02, 0.35, profile[-1, 0] - 0.02, 0.5, colour * 0.55)
    for x in (front_foot, split, rear_foot):
        box(x - 0.015, 0.5, x + 0.02, belt, colour * 0.6)
    for x in (split - 0.3, split + 0.8):
        box(x, belt - 0.16, x + 0.16, belt - 0.11, colour * 0.5)


def draw_wheels(canvas: Canvas, solid, offset: float, length: float, tone, normal) -> None:
    """Paint two wheels in one side plane: arch, tyre, rim, hub."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for x in (0.17 * length, 0.82 * length):
        for radius, colour in RINGS[: 4 if np.any(normal) else 2]:
            canvas.face(
                solid(np.array([x, 0.33]) + radius * circle, offset), tone(np.array(colour, float), normal), CAR
            )
