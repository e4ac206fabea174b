"""Compose and draw one street scene of toytown.

Colour and position are made to say little: houses, cars, clothes and signs share one wide range of paints; road,
pavement and walls are of the same stones; there are suns, fogs and nights; and the camera stands anywhere, high or
low, looking along the street or across it. What tells the classes apart is their texture and shape: windows, slabs,
speckle, leaves, wheels, limbs. experiments/colour_position.py measures how little colour and position alone achieve.

A scene can be drawn again with its cars, persons and signs of another size, and nothing else changed.
"""

import numpy as np
from PIL import Image, ImageFilter

from ...randomness import counted_rng
from .buildings import Building, draw_building, draw_skyline
from .canvas import SCALE, Camera, Canvas, Frame, H, W, Weather, circle, on_ground
from .cars import SHAPES, draw_car
from .enlarge import enlarged, enlarged_cast
from .ground import Street, bare_labels, draw_ground, draw_sky
from .paint import chosen, mix, pick
from .things import draw_bush, draw_lamp, draw_person, draw_sign, draw_tree

PAINTERS = dict(car=draw_car, person=draw_person, lamp=draw_lamp, sign=draw_sign, tree=draw_tree, bush=draw_bush)
# shadows of upright things: length at 45 degrees, in heights; half of the width, metres
STEMS = dict(person=(1.0, 0.22), lamp=(1.0, 0.09), sign=(1.0, 0.09), tree=(0.6, 0.15), bush=(0.6, 0.15))
NOWHERE = 1e6  # metres: the place of things that a scene lacks
ENLARGED = ("car", "person")  # about their feet; a sign's board grows too, but on its pole as it was (see draw_sign)
WEATHERS = {  # share of scenes, height of the sun (radians), light of sky and sun (RGB), reach of the view (m), clouds
    "clear": (0.30, (0.4, 1.1), (0.49, 0.55, 0.64), (0.62, 0.56, 0.46), 400, -0.2),
    "overcast": (0.25, (0.5, 1.2), (0.85, 0.85, 0.85), (0.12, 0.11, 0.09), 220, 1.0),
    "sunset": (0.17, (0.15, 0.4), (0.50, 0.45, 0.50), (0.80, 0.54, 0.30), 250, 0.2),
    "dusk": (0.12, (0.5, 1.2), (0.45, 0.45, 0.58), (0.10, 0.09, 0.08), 250, 0.2),
    "night": (0.10, (0.5, 1.2), (0.32, 0.34, 0.43), (0.05, 0.06, 0.07), 300, 0.0),
    "fog": (0.06, (0.5, 1.2), (0.80, 0.80, 0.80), (0.05, 0.05, 0.04), 52, 1.0),
}
SKIES = {  # colours, to `mix` in this order: at the top, low down (the haze has it too), of the clouds
    "clear": dict(top=((0.55, 0.62), (0.12, 0.5), (0.6, 0.92)), low=(0.55, 0.1, (0.75, 0.97)), cloud=(0.1, 0.03, 0.97)),
    "sunset": dict(low=((0.0, 0.12), (0.2, 0.4), 1.0), top=((0.55, 0.72), 0.3, 0.75), cloud=((-0.04, 0.1), 0.35, 0.9)),
    "dusk": dict(low=((-0.04, 0.12), 0.35, 0.7), top=((0.58, 0.72), 0.4, 0.4), cloud=(0.68, 0.2, 0.45)),
    "night": dict(low=([0.06, 0.62], 0.35, 0.3), top=(0.64, 0.55, 0.13), cloud=(0.65, 0.25, 0.25)),
}
GREY_SKY = dict(low=([0.08, 0.12, 0.6], (0, 0.16), (0.3, 0.93)))  # a little darker at the top, lighter in the clouds


def draw_scene(seed: int, split_index: int, index: int, size: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene: picture (160, 192, 3) uint8, RGB, and labels (160, 192) uint8, 0 to 8 and void 255 on borders.

    size: None, or how many times as large as usual cars, persons and the boards of signs are. Scenes that differ in it
    alone are otherwise the same, each thing with its foot in the same place: where no car, person or sign nor a shadow
    of one is, their pixels are equal. (The scene with size None is another: all its parts share one stream of numbers.)
    """
    rng = counted_rng(seed, split_index, index)

    def own(number: int) -> np.random.Generator:
        """The random numbers of one part of the scene. With a size, they do not depend on those of other parts."""
        return rng if size is None else counted_rng(seed, split_index, index, number)

    def seen_by(kind: str, place: tuple) -> Camera:
        """The camera through which a thing is drawn: cars and persons are seen `size` times as large."""
        return camera if size is None or kind not in ENLARGED else enlarged(camera, place, size)

    weather, street = make_weather(rng), make_street(rng)
    camera = place_camera(street, rng)
    buildings, parks = make_rows(street, rng)
    things = place_things(street, camera, parks, rng)  # (kind, (x, z), size) each
    still = [cast for box in buildings for cast in box.shadow(weather.sun)]
    shadows = [(seen_by(*thing[:2]), cast) for thing in things for cast in thing_shadow(*thing, weather.sun)]
    casts = still + [part for larger, cast in shadows for part in enlarged_cast(camera, larger, cast)]
    pools = [place for kind, place, _ in things if kind == "lamp"] if weather.lamps else []
    canvas = Canvas(camera, weather, draw_sky(weather, rng), bare_labels(camera))
    draw_skyline(canvas, rng)
    for box in sorted(buildings, key=lambda box: -max(0, box.z0, -box.z1)):
        draw_building(canvas, box, rng)
    # the street without things sets the exposure, whatever size they have
    meter = None if size is None else draw_ground(canvas, street, still, pools, own(0)).finish()[0]
    glows = []
    for k, (kind, place, extent) in sorted(enumerate(things), key=lambda thing: -camera.depth(on_ground(thing[1][1]))):
        board = {"board": size} if size and kind == "sign" else {}
        glows.append(PAINTERS[kind](Frame(canvas, seen_by(kind, place), place), extent, own(2 + k), **board))
    picture, labels = draw_ground(canvas, street, casts, pools, own(0)).finish()
    return develop(picture, [glow for glow in glows if glow and weather.lamps], own(1), meter), labels


def make_weather(rng: np.random.Generator) -> Weather:
    """Choose hour and weather: the light, the haze and the sky."""
    kind = str(rng.choice(list(WEATHERS), p=[share for share, *_ in WEATHERS.values()]))
    _, heights, ambient, direct, reach, cover = WEATHERS[kind]
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(*heights)
    sun = np.array([np.cos(azimuth) * np.cos(height), np.sin(height), np.sin(azimuth) * np.cos(height)])
    colours = {part: mix(rng, *recipe) for part, recipe in SKIES.get(kind, GREY_SKY).items()}
    low = colours["low"]
    gain = np.exp(rng.normal(0.12, 0.22))  # of the street over the sky: else the sky would always be the brightest
    look = (cover + rng.normal(0, 0.7), rng.uniform(0.5, 1.2), rng.uniform(0.6, 1.4), kind == "night")
    sky = (colours.get("top", 0.85 * low), colours.get("cloud", 1.02 * low), *look)
    reach, lamps = reach * rng.uniform(0.7, 1.3), kind in ("dusk", "night")
    return Weather(sun, *gain * np.array([ambient, direct]), low, reach, lamps, sky)


def make_street(rng: np.random.Generator) -> Street:
    """Choose widths, and whether another road and a zebra crossing cut the street."""
    crossing = rng.uniform(8, 32) if rng.random() < 0.35 else NOWHERE
    zebra = rng.uniform(3, 16) if rng.random() < 0.35 else NOWHERE
    road = rng.uniform(5, 9)
    return Street(road, road / 2 + rng.uniform(2.5, 7), crossing, rng.uniform(5, 8), zebra)


def place_camera(street: Street, rng: np.random.Generator) -> Camera:
    """Put the camera on the road or a pavement, at eye height or up a storey, looking along the street or across it."""
    view = rng.random()
    x = rng.uniform(-0.85, 0.85) * street.facade
    side = pick(rng, (-1, 1))
    if view < 0.4:
        yaw = rng.normal(0, 0.2)
    elif view < 0.7:
        yaw, x = side * rng.uniform(0.4, 0.95), -side * abs(x)
    else:
        yaw, x = side * rng.uniform(0.95, 1.75), -side * rng.uniform(0.75, 0.97) * street.facade
    heights, horizons = ((3, 6.5), (0.08, 0.5)) if rng.random() < 0.35 else ((1.3, 2.6), (0.2, 0.84))
    height, horizon = rng.uniform(*heights), rng.uniform(*horizons)
    return Camera((x, height, 0), yaw, rng.uniform(135, 190), horizon * H, rng.normal(0, 0.07))


def make_rows(street: Street, rng: np.random.Generator) -> tuple[list[Building], list]:
    """Line both sides with houses. Returns them, and the stretches (side, z0, z1) that are left open for parks."""
    buildings, parks = [], []
    for side in (-1, 1):
        z, tall = -26.0, rng.uniform(5, 19)
        park = rng.random() < 0.22
        while z < 70:
            length = rng.uniform(6, 14)
            if abs(z + length / 2 - street.crossing) < (length + street.crossing_width) / 2 + 2:
                z, length = max(z, street.crossing + street.crossing_width / 2 + 2), 0  # beyond the road across
            elif park or rng.random() < 0.14:
                parks.append((side, z, z + length))
            else:
                height = max(3.4, rng.normal(tall, 2.2))
                front = side * (street.facade + rng.uniform(0, 0.5))
                ridge = rng.uniform(1.5, 4) if rng.random() < 0.65 else 0.0
                buildings.append(Building(front, front + side * rng.uniform(7, 10), z, z + length, height, ridge))
            z += length + (rng.uniform(0, 3) if rng.random() < 0.2 else 0)
    return buildings, parks


def place_things(street: Street, camera: Camera, parks: list, rng: np.random.Generator) -> list[tuple]:
    """Choose trees, cars, persons, lamps and signs in view, none inside another. Returns (kind, (x, z), size) each."""
    things, taken = [], []
    half, edge = street.road / 2, street.facade
    # how many; |x|; depth; radius; size, that of a car being its shape
    for kind, counts, across, (near, far), radius, sizes in (
        ("car", (2, 6), (1.2, half - 0.6), (7, 34), 2.1, list(SHAPES)),
        ("person", (2, 6), (0, edge - 0.5), (3.8, 13), 0.4, (1.5, 1.9)),
        ("lamp", (1, 4), (half + 0.3, half + 0.9), (5, 24), 0.4, (3.6, 6.5)),
        ("sign", (2, 4), (half + 0.3, half + 1.0), (4.5, 14), 0.4, (2.0, 2.7)),
        ("tree", (1, 4), (half + 0.8, edge - 0.4), (7, 26), 0.9, (5, 9)),
        ("bush", (0, 3), (edge - 1.2, edge - 0.3), (6, 25), 0.8, (0.8, 1.6)),
    ):
        for _ in range(rng.integers(*counts)):
            size = chosen(rng, sizes)
            for _ in range(30):  # tries, until a place in view is free
                depth, u = near * (far / near) ** rng.random(), rng.uniform(-0.47, 0.47) * W * SCALE
                x, z = (camera.position + depth * (camera.forward + camera.right * u / camera.focal))[[0, 2]]
                if across[0] <= abs(x) <= across[1] and all(np.hypot(x - a, z - b) > radius + r for a, b, r in taken):
                    taken.append((x, z, radius))
                    things.append((kind, (x, z), size))
                    break
    for side, z0, z1 in parks:
        for z in np.arange(z0 + 1, z1 - 0.5, 4.2):
            things.append(("tree", (side * (edge + rng.uniform(1, 5)), z + rng.uniform(-1, 1)), rng.uniform(6.5, 12)))
            things.append(("bush", (side * (edge + rng.uniform(0.2, 0.8)), z), rng.uniform(1.2, 2.2)))
    return [thing for thing in things if in_view(camera, thing[1], thing[2])]


def in_view(camera: Camera, place, size) -> bool:
    """Whether a thing of this height (a car: of any shape) may show, or may throw its shadow into view."""
    u, _, depth = camera.homogeneous(on_ground(place)[None])[0]  # u times the depth
    reach = camera.focal * (3 if isinstance(size, str) else 0.45 * size)
    return 2.5 < depth < 60 and -reach < u < W * SCALE * depth + reach


def thing_shadow(kind: str, place, size, sun: np.ndarray) -> list[np.ndarray]:
    """The shadow of a thing on the ground: polygons (n, 3)."""
    if kind == "car":
        box = Building(place[0] - 0.85, place[0] + 0.85, place[1] - 2.1, place[1] + 2.1, 1.2, 0)
        return [box.footprint(), *box.shadow(sun)]
    foot, (length, half) = on_ground(place), STEMS[kind]
    away = on_ground(-sun[[0, 2]])
    tip = foot + away / max(sun[1], 0.15) * length * size
    side = half * np.array([away[2], 0, -away[0]]) / np.linalg.norm(away)
    stem = np.stack([foot - side, foot + side, tip + side, tip - side])
    around = np.insert(circle(12), 1, 0, axis=1)  # (12, 3)
    crown, body = tip + around * size * 0.3, foot + around * 0.25
    return [*{"tree": [crown], "bush": [crown], "person": [body]}.get(kind, []), stem]


def develop(picture: np.ndarray, glows: list, rng: np.random.Generator, meter: np.ndarray | None) -> np.ndarray:
    """Finish a picture as a camera does: glow of lamps, white balance, gamma, contrast, vignette, noise.

    meter: the picture whose brightness sets the exposure, where it is another one, or None.
    """
    if rng.random() < 0.2:
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.4))))
    y, x = np.mgrid[:H, :W].astype(np.float32)
    balance = np.exp(rng.normal(0, 0.09, 3)).astype(np.float32)

    def lit(picture: np.ndarray) -> np.ndarray:
        light = picture.astype(np.float32)
        for u, v in glows:
            near = (x - u / SCALE) ** 2 + (y - v / SCALE) ** 2
            light += (90 / (1 + near / 18))[..., None] * np.float32([1, 0.82, 0.5])
        return np.clip(light * balance / 255, 0, 1)

    developed = lit(picture)
    mean = float((developed if meter is None else lit(meter)).mean())
    target = rng.uniform(0.25, 0.58) if mean > 0.2 else rng.uniform(0.17, 0.3)  # nights stay dark
    middle = np.float32(255 * target)
    developed = 255 * developed ** np.float32(np.clip(np.log(target) / np.log(mean), 0.5, 1.45))
    developed = (developed - middle) * np.float32(np.exp(rng.normal(0.08, 0.13))) + middle
    radius = ((x / W - 0.5) ** 2 + (y / H - 0.5) ** 2)[..., None]
    developed *= 1 - np.float32(rng.uniform(0, 0.5)) * radius
    grain = rng.standard_normal((H, W, 1), np.float32) * np.float32(rng.uniform(0.5, 1.6))
    return np.clip(developed + grain, 0, 255).astype(np.uint8)
