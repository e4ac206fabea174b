"""Everything a user looks at: label pictures, overlays, the table of samples, the training curves.

Pillow draws the table. matplotlib draws the curves, and is imported only inside the functions that use it: through the
object API (Figure, Agg), with no display, no pyplot and no global state. Every file is written whole or not at all.

    samples()   picture | truth | 32s | 16s       curves()   training loss, raw and smoothed
                  ...   |  ...  | ... | ...                  validation Jaccard
                [] sky  [] road  [] car                      learning rate
"""

import os
from itertools import chain

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .datasets.pictures import IGNORE_LABEL
from .files import atomic_file

VOID_COLOUR = (224, 224, 192)  # the cream of PASCAL VOC, which is also entry 255 of its palette
MARGIN, GAP, TITLE_LINE, LEGEND_LINE, LEGEND_GAP, SWATCH = 16, 10, 26, 28, 32, 16  # of samples(), in pixels
TITLE_SIZE, FONT_SIZE = 19, 16  # of samples(), in pixels
TEXT, FAINT, GREY, BLUE, ORANGE = "#222222", "#9a9a9a", "#555555", "#1f4e79", "#b2541a"


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the colours of labels (H, W) of any integer dtype, (H, W, 3) uint8; 255 is void.

    Raises ValueError where a label is neither in the palette (L, 3) nor 255.
    """
    return colours_of_bytes(labels, palette)[labels]


def colours_of_bytes(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The palette (L, 3) with an entry for every value of a byte, (256, 3), once it is known to suit the labels."""
    wrong = labels[((labels < 0) | (labels >= len(palette))) & (labels != IGNORE_LABEL)]
    if wrong.size:
        raise ValueError(f"labels: expected 0 to {len(palette) - 1}, or {IGNORE_LABEL} for void, received {wrong[0]}")
    full = np.zeros((256, 3), np.uint8)
    full[: len(palette)], full[IGNORE_LABEL] = palette, VOID_COLOUR
    return full


def overlay(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8, half of it the colours of its labels (H, W); void stays untinted."""
    share = np.where(labels == IGNORE_LABEL, 0, 0.5)[..., None]  # (H, W, 1)
    return np.rint((1 - share) * picture + share * colourise(labels, palette)).astype(np.uint8)


def save_label_png(path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write labels (H, W), 0 .. L-1 or 255, as a paletted PNG: its pixel values are the labels, and it shows colours.

    Raises ValueError as colourise does, and OSError, which names `path`, where the file could not be written.
    """
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(colours_of_bytes(labels, palette).tobytes())
    _save(path, image)


def _save(path: str | os.PathLike, image: Image.Image) -> None:
    with atomic_file(path) as file:
        image.save(file, format="PNG")


# --- the table of samples ---


def samples(path: str | os.PathLike, rows: list[list], titles: list[str], classes: list[str], palette) -> None:
    """Write a PNG with a table of pictures, such as picture | truth | 32s | 16s, over a legend of the L classes.

    A row has one cell a column. A cell (H, W, 3) uint8 is a picture and is shown as it is; a cell (H, W) uint8 holds
    labels and is shown in the colours of the palette (L, 3), and if any of them is void, so is the legend. Cells are
    scaled to the width of their column, pictures bilinearly, labels by nearest neighbour; they may differ in size.
    Titles may hold line breaks. Raises ValueError where these do not fit together, and OSError, which names `path`,
    where the file could not be written.
    """
    key = list(zip(classes, palette.tolist(), strict=True))
    if any((x == IGNORE_LABEL).any() for x in chain(*rows) if x.ndim == 2):
        key.append(("void", VOID_COLOUR))
    widest = max(x.shape[1] for x in chain(*rows))
    cell = min(420, max(180, 1320 // len(titles)))  # the width of a column: a multiple of the widest cell's, if it can
    cell = cell // widest * widest or cell
    slot = SWATCH + LEGEND_GAP + round(max(_font(FONT_SIZE).getlength(name) for name, _ in key))  # of the legend
    width = max(len(titles) * (cell + GAP) - GAP, slot) + 2 * MARGIN
    columns = [(width + GAP + (2 * c - len(titles)) * (cell + GAP)) // 2 for c in range(len(titles))]
    table = [[_fit(x, cell, palette) for x in row] for row in rows]
    heights = [max(image.height for image in row) + GAP for row in table]
    y = MARGIN + TITLE_LINE * max(1 + title.count("\n") for title in titles)
    lines = -(-len(key) // max(1, (width - 2 * MARGIN + LEGEND_GAP) // slot))

    canvas = Image.new("RGB", (width, y + sum(heights) + LEGEND_LINE * lines + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for x, title in zip(columns, titles, strict=True):
        longest = max(_font(TITLE_SIZE).getlength(line) for line in title.split("\n"))
        font = _font(max(1, int(TITLE_SIZE * min(1, cell / max(1, longest)))))  # no wider than the column
        draw.text((x + cell / 2, y - 6), title, TEXT, font, "md", align="center")
    for row, height in zip(table, heights, strict=True):
        for x, image in zip(columns, row, strict=True):
            canvas.paste(image, (x + (cell - image.width) // 2, y + (height - GAP - image.height) // 2))
        y += height
    _draw_legend(draw, key, slot, -(-len(key) // lines), y, width)
    _save(path, canvas)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: the font inside Pillow has only the letters of ASCII."""
    import matplotlib

    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _fit(x: np.ndarray, cell: int, palette: np.ndarray) -> Image.Image:
    """Scale a cell to the width of its column, or to 5/4 of that in height if it is then narrower."""
    H, W = x.shape[:2]
    scale = min(cell / W, 1.25 * cell / H)
    size = max(1, round(W * scale)), max(1, round(H * scale))
    drawn, how = (x, Image.Resampling.BILINEAR) if x.ndim == 3 else (colourise(x, palette), Image.Resampling.NEAREST)
    return Image.fromarray(drawn).resize(size, how)


def _draw_legend(draw: ImageDraw.ImageDraw, key: list[tuple], slot: int, per_line: int, y: int, width: int) -> None:
    """Draw a swatch and a name for each class from row y on, in columns `slot` pixels wide, centred."""
    left = max(MARGIN, (width + LEGEND_GAP - per_line * slot) // 2)
    for k, (name, colour) in enumerate(key):
        x, top = left + k % per_line * slot, y + k // per_line * LEGEND_LINE + SWATCH // 2
        draw.rectangle((x, top, x + SWATCH - 1, top + SWATCH - 1), tuple(colour), FAINT)  # a rim, for pale colours
        draw.text((x + 3 * SWATCH // 2, top + SWATCH // 2), name, TEXT, _font(FONT_SIZE), "lm")


# --- the training curves ---


def curves(path: str | os.PathLike, log: dict[str, list[float]], score: str = "Jaccard") -> None:
    """Draw the course of a training run over its steps as a PNG: loss, a validation score in per cent, learning rate.

    The log has "step", "loss" and "lr" of equal length, and "val_step" and "score" (fractions) of equal length; the
    last two may be empty or missing. NaN and None leave a gap. `score` is what the score is called. Raises OSError,
    which names `path`, where the file could not be written.
    """
    from matplotlib.figure import Figure

    names = ("step", "loss", "lr", "val_step", "score")
    steps, loss, lr, val_steps, scores = (np.array(log.get(name, []), np.float64) for name in names)
    figure = Figure(figsize=(8, 7), dpi=130, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    _draw_loss(top, steps, loss)
    _draw_scores(middle, val_steps, 100 * scores, score)
    bottom.plot(steps, lr, color=GREY, linewidth=1.4)
    bottom.set_ylabel("learning rate", color=TEXT)
    bottom.set_ylim(0, 1.15 * np.nanmax(lr, initial=0) or 1)
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    bottom.set_xlabel("step", color=TEXT)
    bottom.xaxis.get_major_locator().set_params(integer=True)
    for axes in (top, middle, bottom):
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=GREY, labelsize=9)
    figure.align_ylabels()
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=figure.dpi)


def _draw_loss(axes, steps: np.ndarray, loss: np.ndarray) -> None:
    """Raw and smoothed training loss; the range leaves out the few highest spikes, which would flatten the rest."""
    axes.plot(steps, loss, color="#4878a8", alpha=0.3, linewidth=0.8, label="raw")
    axes.plot(steps, smoothed(loss, max(5, len(loss) // 50)), color=BLUE, linewidth=1.8, label="running mean")
    axes.set_ylabel("training loss", color=TEXT)
    finite = loss[np.isfinite(loss)]
    if finite.size:
        axes.set_ylim(min(0, finite.min()), 1.1 * np.quantile(finite, 0.995) or 1)
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=9, loc="lower right", bbox_to_anchor=(1.01, 1), ncols=2)


def _draw_scores(axes, steps: np.ndarray, per_cent: np.ndarray, name: str) -> None:
    """A validation score, its best value marked."""
    axes.set_ylabel(f"validation {name} (%)", color=TEXT)
    axes.set_ylim(0, min(100, max(10, 1.2 * np.nanmax(per_cent, initial=0))))
    if np.isnan(per_cent).all():  # also when empty
        axes.text(0.5, 0.5, "no validation yet", transform=axes.transAxes, ha="center", va="center", color=FAINT)
        return
    axes.plot(steps, per_cent, color=ORANGE, linewidth=1.4, marker="o", markersize=4)
    best = int(np.nanargmax(per_cent))
    axes.plot(steps[best], per_cent[best], marker="o", markersize=9, markerfacecolor="none", color=ORANGE)
    axes.set_title(f"best {per_cent[best]:.1f} at step {steps[best]:.0f}", loc="right", fontsize=10, color=ORANGE)


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Return the exponential moving average of values (T,) with weight 1/window on the newest, (T,).

    The average is over the values so far (no pull towards 0 at the start), and NaNs are left out of it.
    """
    keep, total, weight, means = 1 - 1 / window, 0.0, 0.0, []
    for value in values:
        if np.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
        means.append(total / weight if weight else np.nan)
    return np.array(means)
