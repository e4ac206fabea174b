"""The things in toytown's streets: trees, persons, poles and signs. Each stands on a Frame."""

from functools import partial

import numpy as np

from .canvas import PERSON, POLE, SCALE, SIGN, TREE, Frame, circle
from .paint import foliage, mix, paint, pick, shifted

TEETH = 7  # of a conifer's skirt


def draw_tree(frame: Frame, height: float, rng: np.random.Generator, kind: str | None = None) -> None:
    """Paint a tree: "broad", "poplar", "conifer", "bare" (None: one of these), or a "bush" without a trunk."""
    kind = kind or pick(rng, ["broad"] * 12 + ["poplar"] * 4 + ["conifer"] * 4 + ["bare"])
    bark = mix(rng, (0.04, 0.12), (0.1, 0.4), (0.25, 0.5))
    leaf = foliage(rng)
    if kind == "bare":
        return draw_branch(frame, (0.0, 0.0), np.pi / 2, 0.36 * height, 0.06 * height, 4, bark, rng)
    if kind != "bush":
        thick, tall = 0.035 * height + 0.06, 0.6 * height
        frame.trapezoid(0, 0, thick, 0.6 * thick, tall, bark, TREE)
        half = [(-thick, 0), (0, 0), (0, tall), (-0.6 * thick, tall)]
        frame.polygon(half, bark * (0.7 if frame.sun > 0 else 1.2))
    if kind == "conifer":
        return draw_conifer(frame, height, leaf, rng)
    wide, tall, bushy = rng.uniform(0.26, 0.4), rng.uniform(0.26, 0.34), rng.uniform(0.7, 1.3)
    rx, ry, middle = {"broad": (wide, tall, 0.66), "poplar": (0.11, 0.42, 0.56), "bush": (bushy, 0.5, 0.45)}[kind]
    draw_crown(frame, middle * height, rx * height, ry * height, leaf, rng)


draw_bush = partial(draw_tree, kind="bush")


def draw_crown(frame: Frame, middle: float, rx: float, ry: float, leaf, rng) -> None:
    """Paint foliage: dark lumps as a silhouette, then tufts, from the shady to the sunny side."""
    crown, unit, sun, lumps = frame.part(0, middle), frame.unit, frame.sun, int(rng.integers(7, 12))
    angle, radius = np.arange(lumps) * 2.4, np.sqrt((np.arange(lumps) + 0.5) / lumps)
    cx, cy = radius * np.cos(angle) * rx * 0.68, radius * np.sin(angle) * ry * 0.68
    size = rng.uniform(0.36, 0.52, lumps)
    for x, y, s in zip(cx, cy, size, strict=True):
        crown.disc(x, y, s * rx, s * ry, leaf * 0.5, TREE)
    count = int(np.clip(rx * ry * unit * unit / 30, 20, 140))
    lump, turn = rng.integers(0, lumps, count), rng.uniform(0, 2 * np.pi, count)  # of each tuft
    reach = np.sqrt(rng.random(count))
    x = cx[lump] + np.cos(turn) * reach * size[lump] * rx
    y = cy[lump] + np.sin(turn) * reach * size[lump] * ry
    # light comes from above and from the sun's side; each lump has its own lit top
    lit = 0.35 * (x / rx * sun * 0.7 + y / ry) + 0.45 * (np.cos(turn) * sun * 0.6 + np.sin(turn)) * reach
    shade = np.clip(0.84 + 0.55 * lit + rng.normal(0, 0.1, count), 0.4, 1.5)
    tones = [frame.tone(leaf * s) for s in np.linspace(0.4, 1.5, 12)]
    steps = ((shade - 0.4) / 1.1 * 11.99).astype(int)
    tuft = np.clip(np.sqrt(rx * ry) * 0.11, 1.4 / unit, 7 / unit) * rng.uniform(0.6, 1.3, count)
    tufts = np.stack([x, y, tuft, steps], axis=1)[np.argsort(lit)]
    crown.tone = tuple  # the tones are there
    for x, y, radius, step in tufts.tolist():
        crown.disc(x, y, radius * 1.2, radius, tones[int(step)], TREE)


def draw_conifer(frame: Frame, height: float, leaf, rng) -> None:
    """Paint a spruce: skirts of needles, narrower upwards, with drooping tips."""
    tiers, sun = int(rng.integers(5, 9)), frame.sun
    for k in range(tiers):
        base, top = height * (0.12 + 0.8 * k / tiers), height * min(1.0, 0.12 + 0.8 * (k + 1.7) / tiers)
        half = height * 0.2 * (1 - k / (tiers + 0.5)) * rng.uniform(0.9, 1.1)
        hem = [(half * (2 * i / TEETH - 1), base + (0.035 * height if i % 2 else 0.0)) for i in range(TEETH + 1)]
        frame.polygon([*hem, (0, top)], leaf * (0.55 + 0.06 * k), TREE)
        bright = [(x, y + 0.012 * height) for x, y in hem if x * sun >= 0]
        frame.polygon([*bright, (0, top)], leaf * (0.8 + 0.07 * k), TREE)


def draw_branch(frame: Frame, foot, angle: float, length: float, width: float, levels: int, colour, rng) -> None:
    """Paint a bare branch and, from its tip, thinner ones."""
    tip = (foot[0] + length * np.cos(angle), foot[1] + length * np.sin(angle))
    frame.limb(max(width, 1.4 * SCALE / frame.unit), colour, TREE, foot, tip)
    if levels and length * frame.unit > 4:
        for spread in (-1, 1) if levels < 3 else (-1, 0.1, 1):
            turn = angle + spread * rng.uniform(0.25, 0.6)
            draw_branch(frame, tip, turn, length * rng.uniform(0.6, 0.8), width * 0.62, levels - 1, colour, rng)


def draw_person(frame: Frame, height: float, rng: np.random.Generator) -> None:
    """Paint a person who walks or stands: arms, legs, coat or shirt, head with hair, perhaps a bag."""
    body = frame.part(0, 0, height / 1.75, pick(rng, (-1, 1)))  # every length below is that of a person of 1.75 m
    top, stride = paint(rng), rng.uniform(0.05, 0.30)
    swing, wide = rng.uniform(-0.2, 0.2), rng.uniform(0.19, 0.25)
    skin = mix(rng, (0.04, 0.08), (0.25, 0.5), (0.4, 0.95))
    elbow, wrist = (-wide - 0.06 - stride * 0.4, 1.08), (-wide + 0.02 - stride * 0.6, 0.84)
    body.limb(0.11, top * 0.7, PERSON, (-wide, 1.35), elbow, wrist)
    trousers = shifted(rng, paint(rng), 0.3, 0.8)
    for side, shade in ((-1, 0.8), (1, 1.0)):  # legs, one ahead of the other, with dark shoes
        foot = side * stride
        body.limb(0.17, trousers * shade, PERSON, (side * 0.06, 0.88), (0.6 * foot + 0.03, 0.48), (foot, 0.07))
        body.limb(0.10, trousers * shade * 0.4, PERSON, (foot, 0.04), (foot + 0.15, 0.03))
    hem = pick(rng, (0.85, 0.85, 0.5))  # a shirt, or a coat or skirt
    left = [(-wide - 0.02, hem), (-wide * 0.85, 1.1), (-wide, 1.40), (-0.1, 1.47)]
    body.polygon([*left, *((-x, y) for x, y in left[::-1])], top, PERSON)
    body.polygon([*left, (-0.08, hem)], top * 0.78)
    x, y = hand = (wide + swing, 0.8)
    body.limb(0.11, top * 1.08, PERSON, (wide, 1.36), (wide + 0.07 + swing * 0.4, 1.08), hand)
    body.limb(0.1, skin, PERSON, hand, (x, y - 0.04))
    if rng.random() < 0.35:
        body.trapezoid(x, y, 0.14, 0.12, -0.3, paint(rng) * 0.8, PERSON)
    body.limb(0.11, skin * 0.85, PERSON, (0, 1.42), (0, 1.52))
    body.disc(0, 1.63, 0.125, 0.145, mix(rng, (0.02, 0.12), 0.4, (0.1, 0.6)), PERSON)
    body.disc(0.03, 1.6, 0.1, 0.115, skin)


def draw_lamp(frame: Frame, height: float, rng: np.random.Generator) -> tuple[float, float]:
    """Paint a street lamp: pole, arm and head. Returns the canvas position of the light."""
    metal = shifted(rng, paint(rng), 0.4, 1.0)
    half, arm = max(0.17, 2.9 * SCALE / frame.unit) / 2, pick(rng, [-1, 1]) * rng.uniform(0.7, 1.4)
    draw_pole(frame, height, half, metal)
    frame.trapezoid(0, 0, half * 1.7, half * 1.3, 0.9, metal * 0.8, POLE)
    x, y = 0.0, height + 0.1
    if rng.random() < 0.6:
        x, y = arm, height + 0.25
        frame.limb(1.5 * half, metal, POLE, (0, height - 0.05), (0.4 * arm, y), (x, y))
    head, lit = frame.part(x, y), frame.canvas.weather.lamps
    head.trapezoid(0, 0, 0.36, 0.2, 0.28, metal * 0.7, POLE)
    if lit:
        head.tone = tuple  # what shines is seen in its own colour
    head.trapezoid(0, 0, 0.32, 0.22, -0.16, (255, 236, 180) if lit else (235, 235, 225), POLE)
    return head(0, 0)


def draw_pole(frame: Frame, height: float, half: float, metal) -> None:
    """Paint a round pole, `half` its width: lit on the sun's side, dark on the other."""
    for left, right, shade in ((-1, 1, 1.0), (-1, -0.3, 0.9 - 0.4 * frame.sun), (0.4, 1, 0.9 + 0.4 * frame.sun)):
        strip = [(left * half, 0), (right * half, 0), (right * half, height), (left * half, height)]
        frame.polygon(strip, metal * shade, POLE)


def draw_sign(frame: Frame, height: float, rng: np.random.Generator, board: float = 1.0) -> None:
    """Paint a traffic sign or a traffic light on its pole.

    board: how many times as large as usual its board is: about its middle, since about the pole's foot large ones would
    leave the picture.
    """
    size = board * rng.uniform(0.65, 0.95)  # metres, the width of the board
    height = max(height, 0.85 * size)  # no board reaches into the ground
    metal = shifted(rng, paint(rng), 0.5, 1.0)
    draw_pole(frame, height, max(0.1, 2.6 * SCALE / frame.unit) / 2, metal)
    rim, face, mark = paint(rng), shifted(rng, paint(rng), 0.8, 1.3), shifted(rng, paint(rng), 0.2, 0.6)
    if rng.random() < 0.5:  # white face, or dark face with a white mark
        face, mark = (np.array([232.0, 230, 222]), mark) if rng.random() < 0.6 else (rim, np.array([235.0, 235, 230]))
    kind = pick(rng, ["round", "triangle", "square", "octagon", "board", "lights"])
    if kind == "lights":
        return draw_lights(frame.part(0, height, 0.7 * size), rng)
    # corners, and by how much of a turn the first stands above the right
    shapes = {"round": (20, 0), "triangle": (3, pick(rng, [0.25, 0.75])), "square": (4, pick(rng, [0, 0.125]))}
    outline = circle(*(shapes | {"octagon": (8, 1 / 16), "board": (4, 0.125)})[kind])
    plate = frame.part(0, height, size / 2)
    for scale, colour, label in ((1.12, (240, 240, 236), SIGN), (1.05, rim, SIGN), (0.74, face, None)):
        plate.polygon(scale * outline * (1.7 if kind == "board" else 1, 1), np.asarray(colour), label)
    if kind == "board":
        for y in (0.22, -0.12):
            plate.limb(0.16, mark, None, (-0.8, y), (0.6, y))
    else:
        a, b = rng.uniform(-0.4, 0.4, 2)
        plate.limb(0.24, mark, None, (-0.4, a), (0, b), (0.4, -a))


def draw_lights(box: Frame, rng: np.random.Generator) -> None:
    """Paint a traffic light: a dark box with three lamps, one of them lit."""
    lit = rng.integers(3)
    box.trapezoid(0, -1.1, 0.32, 0.32, 2.0, shifted(rng, paint(rng), 0.2, 0.7), SIGN)
    box.tone = tuple  # lamps shine
    for k, colour in enumerate(np.array([(250, 60, 45), (250, 185, 50), (70, 225, 120)])):
        box.disc(0, 0.55 - 0.65 * k, 0.22, 0.22, (colour * (1 if k == lit else 0.28)).astype(int))
