"""Toytown's cars: a side view drawn once, pulled out to the car's width, and painted panel by panel in perspective."""

import numpy as np

from .canvas import CAR, Canvas
from .paint import paint

# Side views, metres, from the front bumper (x = 0) over the roof to the rear: (x, y), and the corners between which the
# windscreen, the roof and the rear window lie.
SHAPES = {
    "saloon": [
        (0, 0.35),
        (0.05, 0.72),
        (1.25, 0.92),
        (2.0, 1.42),
        (3.15, 1.42),
        (3.75, 0.98),
        (4.4, 0.9),
        (4.45, 0.35),
    ],
    "hatchback": [
        (0, 0.35),
        (0.05, 0.75),
        (0.95, 0.95),
        (1.6, 1.5),
        (3.2, 1.5),
        (3.75, 1.0),
        (3.8, 0.75),
        (3.82, 0.35),
    ],
    "estate": [(0, 0.38), (0.05, 0.8), (1.2, 1.02), (1.9, 1.62), (3.9, 1.6), (4.4, 1.1), (4.5, 0.8), (4.5, 0.38)],
    "van": [(0, 0.4), (0.05, 0.95), (0.6, 1.2), (1.15, 2.05), (4.75, 2.1), (4.85, 1.4), (4.9, 0.8), (4.9, 0.4)],
}
WIDTH = 1.75
RINGS = (
    (0.38, (14, 14, 16)),
    (0.33, (34, 34, 37)),
    (0.2, (178, 178, 182)),
    (0.07, (70, 70, 74)),
)  # wheel arch, tyre, rim, hub
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
    under = solid([(0.1, 0.18), (length - 0.1, 0.18)], half)
    under = np.concatenate([under, solid([(length - 0.1, 0.18), (0.1, 0.18)], -half)])
    canvas.polygon(canvas.camera.outline(under), tone(np.array([22.0, 22, 24]), (0, 0, 0)), CAR)
    draw_wheels(canvas, solid, -near * half, length, tone, (0, 0, 0))
    panels(canvas, solid, profile, colour, half, tone, ahead)
    draw_side(canvas, solid, profile, colour, near * half, near * side, tone)
    draw_wheels(canvas, solid, near * half, length, tone, near * side)


def panels(canvas: Canvas, solid, profile, colour, half: float, tone, ahead) -> None:
    """Paint the panels across the car that face the camera: bumper, bonnet, windscreen, roof, rear window, tail."""
    faces = []
    for k in range(len(profile) - 1):
        a, b = profile[k], profile[k + 1]
        edge = (b - a) / np.hypot(*(b - a))
        normal = edge[1] * ahead + np.array([0, edge[0], 0])
        centre = solid((a + b) / 2, 0)[0]
        towards = canvas.camera.position - centre
        if normal @ towards > 0:
            faces.append((-np.linalg.norm(towards), k, normal))
    for _, k, normal in sorted(faces, key=lambda face: face[0]):
        a, b = profile[k], profile[k + 1]
        outline = canvas.camera.outline(across(solid, a, b, half))
        canvas.polygon(outline, tone(colour, normal), CAR)
        if k in (2, 4):
            p, q = a + 0.1 * (b - a), a + 0.9 * (b - a)
            glass = GLASS * (1.35 if normal[1] > 0.5 else 1.0)
            canvas.polygon(canvas.camera.outline(across(solid, p, q, 0.86 * half)), tone(glass, normal))
        elif k in (0, len(profile) - 2):
            draw_face(canvas, solid, a, b, half, tone, normal, front=k == 0)


def across(solid, a, b, half: float) -> np.ndarray:
    """The panel between side-view positions a and b over the car's width: (4, 3)."""
    return np.concatenate([solid([a, b], half), solid([b, a], -half)])


def draw_face(canvas: Canvas, solid, a, b, half: float, tone, normal, front: bool) -> None:
    """Paint what a car's front or rear carries: lights, number plate, bumper, grille."""

    def patch(low, high, left, right, colour, lit=False):
        p, q = a + low * (b - a), a + high * (b - a)
        corners = np.concatenate([solid([p, q], left * half), solid([q, p], right * half)])
        fill = tuple(int(c) for c in colour) if lit else tone(np.asarray(colour, float), normal)
        canvas.polygon(canvas.camera.outline(corners), fill)

    base, top = (0.0, 1.0) if front else (1.0, 0.0)

    def height(t):
        return base + (top - base) * t

    patch(height(-0.25), height(0.2), -1, 1, (40, 40, 44))
    if front:
        patch(height(0.4), height(0.85), -0.5, 0.5, (34, 34, 38))
    for s in (-1, 1):
        night = canvas.light.lamps
        colour = (
            ((255, 246, 205) if night else (236, 236, 225)) if front else ((255, 60, 40) if night else (170, 28, 26))
        )
        patch(height(0.5), height(0.92), s * 0.62, s * 0.96, colour, lit=night)
    patch(height(0.1), height(0.38), -0.3, 0.3, (232, 226, 190))


def draw_side(canvas: Canvas, solid, profile, colour, offset: float, normal, tone) -> None:
    """Paint the side that faces the camera: body, windows with a pillar, sill, door lines, handle."""
    canvas.polygon(canvas.camera.outline(solid(profile, offset)), tone(colour, normal), CAR)

    def draw(xy, fill):
        canvas.polygon(canvas.camera.outline(solid(xy, offset)), tone(fill, normal))

    bonnet, screen, roof, rear = profile[2], profile[3], profile[4], profile[5]
    lift = np.array([0, -0.1])
    belt = max(bonnet[1], rear[1]) + 0.03
    split = (screen[0] + roof[0]) / 2 + 0.05

    def slope(low, high, y):
        return low[0] + (high[0] - low[0]) * (y - low[1]) / (high[1] - low[1])

    front_foot, rear_foot = slope(bonnet, screen, belt) + 0.16, slope(rear, roof, belt) - 0.16
    draw([(front_foot, belt), screen + lift + [0.05, 0], (split - 0.05, roof[1] - 0.1), (split - 0.05, belt)], GLASS)
    draw(
        [(split + 0.05, belt), (split + 0.05, roof[1] - 0.1), roof + lift - [0.05, 0], (rear_foot, belt)], GLASS * 0.85
    )
    draw([(0.02, 0.35), (0.02, 0.5), (profile[-1, 0] - 0.02, 0.5), (profile[-1, 0] - 0.02, 0.35)], colour * 0.55)
    for x in (front_foot, split, rear_foot):
        draw([(x - 0.015, 0.5), (x - 0.015, belt), (x + 0.02, belt), (x + 0.02, 0.5)], colour * 0.6)
    for x in (split - 0.3, split + 0.8):
        draw([(x, belt - 0.16), (x, belt - 0.11), (x + 0.16, belt - 0.11), (x + 0.16, belt - 0.16)], colour * 0.5)


def draw_wheels(canvas: Canvas, solid, offset: float, length: float, tone, normal) -> None:
    """Paint two wheels in one side plane: arch, tyre, rim, hub."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for x in (0.17 * length, 0.82 * length):
        for radius, colour in RINGS[: 4 if np.any(normal) else 2]:
            ring = canvas.camera.outline(solid(np.array([x, 0.33]) + radius * circle, offset))
            canvas.polygon(ring, tone(np.array(colour, float), normal), CAR)
