"""The picture of cuda_kernel.md: what a warp touches at one moment, with a thread a pixel and with a lane a class.

The first lanes and pixels of the chapter's (100, 21) scores; the sectors are counted for the whole warp.
"""

from .svg import Svg

L, LANES, SECTOR = 21, 32, 8  # classes, lanes of a warp, floats of a sector
CELL, SHOWN = 15, 6  # pixels of the picture that a number takes; rows


def touched(index) -> int:
    """The sectors that the lanes of a warp touch together, lane by lane at these numbers of the array."""
    return len({i // SECTOR for i in index})


def panel(picture, top, title, index) -> None:
    """Rows of scores with the numbers that `index`, a list by lane, says."""
    lanes = {i: lane for lane, i in enumerate(index)}
    left = 44
    picture.text(8, top, title, anchor="start", bold=True)
    for pixel in range(SHOWN):
        y = top + 16 + (CELL + 4) * pixel
        picture.text(left - 6, y + CELL / 2, f"{pixel}", "faint", anchor="end")
        for c in range(L):
            i = pixel * L + c
            lane = lanes.get(i)
            moved = any(i // SECTOR == other // SECTOR for other in index)
            fill = ("orange", 0.75) if lane is not None else ("blue", 0.3) if moved else None
            picture.rect(left + CELL * c, y, CELL, CELL, "faint", fill, thick=0.75)
    used, sectors = len(lanes), touched(index)
    words = f"{used} numbers used, {sectors} sectors moved: {SECTOR * sectors / used:.1f} x"
    picture.text(left, top + 26 + (CELL + 4) * SHOWN, words, anchor="start")


def pictures() -> dict[str, str]:
    picture = Svg(400, 404)
    picture.text(8, 14, "scores: a row for each pixel, 21 classes in each", "faint", anchor="start")
    panel(picture, 42, "a thread for each pixel, all at class 0", [lane * L for lane in range(LANES)])
    panel(picture, 216, "a lane for each class of pixel 0", list(range(L)))
    for x, fill, words in ((44, ("orange", 0.75), "a lane reads it"), (190, ("blue", 0.3), "moved along with it")):
        picture.rect(x, 380, CELL, CELL, "faint", fill, thick=0.75)
        picture.text(x + 22, 380 + CELL / 2, words, anchor="start")
    return {"cuda_kernel.svg": str(picture)}
