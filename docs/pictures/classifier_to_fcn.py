"""Pictures of docs/walkthrough/classifier_to_fcn.md: receptive fields, skips. Its PNGs are saved by the page's code."""

from minifcn.models.vgg import CONVS

from .svg import Svg


def pictures() -> dict[str, str]:
    return {"classifier_to_fcn_fields.svg": str(fields()), "classifier_to_fcn_skips.svg": str(skips())}


def receptive_fields() -> dict[str, int]:
    """Pool or fc7 -> how many pixels wide it sees."""
    layers = [(f"pool{block}", k, s) for block, n in enumerate(CONVS, 1) for k, s in [(3, 1)] * n + [(2, 2)]]
    field, stride, found = 1, 1, {}
    for name, k, s in [*layers, ("fc7", 7, 1)]:
        field, stride = field + (k - 1) * stride, stride * s
        found[name] = field
    return found


def fields() -> Svg:
    """The fields as squares around one centre, and the window that VGG was made for."""
    picture, found = Svg(400, 416), receptive_fields()
    scale, centre = 372 / found["fc7"], 208
    colours = {"pool3": ("orange", 0.6), "pool4": ("orange", 0.25), "pool5": ("blue", 0.2), "fc7": ("blue", 0.08)}
    for name, fill in reversed(colours.items()):
        side = scale * found[name]
        picture.rect(200 - side / 2, centre - side / 2, side, side, fill[0], fill)
    for name in colours:
        side = scale * found[name]
        y = centre - side / 2 + 14 if name != "pool3" else centre + side / 2 + 12  # which has no room inside
        picture.text(200, y, f"{name}: {found[name]}", colours[name][0], bold=True, size=15)
    side = scale * 224
    picture.rect(200 - side / 2, centre - side / 2, side, side, "ink", dashed=True, thick=2)
    picture.text(200, centre - side / 2 - 12, "window: 224", bold=True, size=15)
    return picture


def skips() -> Svg:
    """The trunk from top to bottom, with strides, and how the three networks join its maps."""
    picture, rows = Svg(400, 432), ["picture", "pool1", "pool2", "pool3", "pool4", "pool5", "fc6, fc7"]
    picture.text(52, 14, "trunk", bold=True)
    picture.text(122, 14, "stride", "faint", size=14)
    for i, name in enumerate(rows):
        y = 48 + 58 * i
        picture.rect(8, y - 15, 88, 30, "ink", "faint")
        picture.text(52, y, name, size=14)
        picture.text(122, y, min(2**i, 32), "faint", size=14)
        if i:
            picture.arrow(52, y - 43, 52, y - 15)
    for i, score, network in ((6, "score_fr", "FCN-32s"), (4, "score_pool4", "FCN-16s"), (3, "score_pool3", "FCN-8s")):
        y = 48 + 58 * i
        picture.arrow(138, y, 234, y, "blue")
        picture.text(184, y - 12, score, "blue", size=14)
        picture.dot(248, y, 11, "blue")
        picture.arrow(264, y, 324, y, "orange")
        picture.text(292, y - 12, f"x {network[4:-1]}", "orange", size=14)
        picture.text(292, y + 14, f"crop {int(network[4:-1]) // 2}", "orange", size=14)
        picture.text(362, y, network, "orange", bold=True, size=15)
    for below, above in ((6, 4), (4, 3)):
        picture.arrow(248, 48 + 58 * below - 14, 248, 48 + 58 * above + 14, "blue")
        picture.text(240, 48 + 58 * above + 26, "x 2, crop 1, +", "blue", "end", 14)
    return picture
