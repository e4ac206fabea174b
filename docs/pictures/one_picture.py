"""The picture of one_picture.md: its stations there and back, each with the size of its map."""

from .svg import Svg

HEIGHT, WIDTH = 48, 64  # of the page's picture
CHANNELS = (4, 4, 8, 8, 8)  # of its network's blocks
CONVS = (2, 2, 3, 3, 3)


def stations() -> list[tuple[str, int, int, int]]:
    """Return (name, height, width, channels) from the picture to the scores."""
    H, W = HEIGHT + 2 * 100 - 2, WIDTH + 2 * 100 - 2  # conv1_1: padding 100, and a 3x3 kernel takes two rows
    found = [("picture", HEIGHT, WIDTH, 3)]
    for block, (channels, convs) in enumerate(zip(CHANNELS, CONVS, strict=True), 1):
        found.append((f"conv{block}, {convs} layers", H, W, channels))
        H, W = -(-H // 2), -(-W // 2)
        found.append((f"pool{block}", H, W, channels))
    H, W = H - 6, W - 6
    found += [("fc6, fc7", H, W, 16), ("score_fr", H, W, 3), ("upsampled", 32 * (H + 1), 32 * (W + 1), 3)]
    return [*found, ("cropped", HEIGHT, WIDTH, 3)]


def pictures() -> dict[str, str]:
    rows = stations()
    picture, step, top = Svg(400, 30 * len(rows) + 60), 30, 34
    picture.text(160, 12, "rows x columns x channels", "faint", "start")
    for i, (name, H, W, C) in enumerate(rows):
        y = top + step * i
        width = 124 * W / 262  # as wide as the map, to scale
        picture.rect(88 - width / 2, y - 9, width, 18, "blue", ("blue", 0.15))
        picture.text(160, y, f"{H} x {W} x {C}", anchor="start")
        picture.text(264, y, name, anchor="start")
    end = top + step * len(rows)
    picture.text(88, end, "loss: one number", bold=True)
    picture.arrow(18, top, 18, end, "blue", 2)
    picture.text(18, end + 16, "there", "blue")
    picture.arrow(382, end, 382, top, "orange", 2)
    picture.text(382, end + 16, "back", "orange")
    return {"one_picture.svg": str(picture)}
