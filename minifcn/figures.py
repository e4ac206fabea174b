"""Everything a user looks at: label pictures, overlays, the table of samples, the training curves.

Pillow draws the table. matplotlib draws the curves, and is imported only inside the functions that use it: through the
object API (Figure, Agg), with no display, no pyplot and no global state. Every file is written whole or not at all.

    samples()   picture | truth | 32s | 16s       curves()   training loss, raw and smoothed
                  ...   |  ...  | ... | ...                  validation Jaccard
                [] sky  [] road  [] car                      learning rate
"""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .datasets.pictures import IGNORE_LABEL
from .files import atomic_file

VOID_COLOUR = (224, 224, 192)  # the cream of PASCAL VOC, which is also entry 255 of its palette
MARGIN, GAP, TITLE_LINE, LEGEND_LINE, LEGEND_GAP, SWATCH = 16, 10, 26, 28, 32, 16  # of samples(), in pixels
TITLE_SIZE, FONT_SIZE = 19, 16  # of samples(), in pixels
TEXT = "#222222"
FAINT = "#9a9a9a"


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the colours of labels (H, W) of any integer dtype, (H, W, 3) uint8; 255 is void.

    Raises ValueError where a shape is wrong, or a label is neither in the palette (L, 3) nor 255.
    """
    return _palette_for(labels, palette)[labels]


def overlay(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 tinted with the colours of its labels (H, W); void stays untinted.

    alpha, from 0 to 1, is the share of the label's colour. Raises ValueError where it is out of range, shapes differ,
    or a label is neither in the palette (L, 3) nor 255.
    """
    if picture.shape != (*labels.shape, 3):
        raise ValueError(f"picture: expected {(*labels.shape, 3)} to fit the labels, received {picture.shape}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected 0 to 1, received {alpha}")
    share = np.where(labels == IGNORE_LABEL, 0, alpha)[..., None]  # (H, W, 1)
    return np.rint((1 - share) * picture + share * colourise(labels, palette)).astype(np.uint8)


def save_label_png(path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write labels (H, W), 0 .. L-1 or 255, as a paletted PNG: its pixel values are the labels, and it shows colours.

    Raises ValueError as colourise does, and OSError, which names `path`, where the file could not be written.
    """
    colours = _palette_for(labels, palette)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(colours.tobytes())
    _save(path, image)


def samples(
    path: str | os.PathLike, rows: list[list[np.ndarray]], titles: list[str], classes: list[str], palette: np.ndarray
) -> None:
    """Write a PNG with a table of pictures, such as picture | truth | 32s | 16s, over a legend of the L classes.

    A row has one cell a column. A cell (H, W, 3) uint8 is a picture and is shown as it is; a cell (H, W) uint8 holds
    labels and is shown in the colours of the palette (L, 3), and if any of them is void, so is the legend. Cells are
    scaled to the width of their column, pictures bilinearly, labels by nearest neighbour; they may differ in size.
    Titles may hold line breaks. Raises ValueError where these do not fit together, and OSError, which names `path`,
    where the file could not be written.
    """
    _check_samples(rows, titles, classes, palette)
    names, colours = list(classes), palette.tolist()
    if any((x == IGNORE_LABEL).any() for row in rows for x in row if x.ndim == 2):
        names, colours = [*names, "void"], [*colours, VOID_COLOUR]
    slot = SWATCH + LEGEND_GAP + round(max(_font(FONT_SIZE).getlength(name) for name in names))
    cell = _cell_width(rows)
    width = max(len(titles) * (cell + GAP) - GAP, slot) + 2 * MARGIN
    columns = [(width + GAP + (2 * c - len(titles)) * (cell + GAP)) // 2 for c in range(len(titles))]
    table = [[_fit(x, cell, palette) for x in row] for row in rows]
    heights = [max(image.height for image in row) + GAP for row in table]
    y = MARGIN + TITLE_LINE * max(1 + title.count("\n") for title in titles)
    lines = -(-len(names) // max(1, (width - 2 * MARGIN + LEGEND_GAP) // slot))

    canvas = Image.new("RGB", (width, y + sum(heights) + LEGEND_LINE * lines + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for x, title in zip(columns, titles, strict=True):
        draw.text((x + cell / 2, y - 6), title, TEXT, _title_font(title, cell), "md", align="center")
    for row, height in zip(table, heights, strict=True):
        for x, image in zip(columns, row, strict=True):
            canvas.paste(image, (x + (cell - image.width) // 2, y + (height - GAP - image.height) // 2))
        y += height
    _draw_legend(draw, names, colours, slot, lines, y, width)
    _save(path, canvas)


def curves(path: str | os.PathLike, log: dict[str, list[float]], score: str = "Jaccard") -> None:
    """Draw the course of a training run over its steps as a PNG: loss, a validation score in per cent, learning rate.

    The log has "step", "loss" and "lr" of equal length, and "val_step" and "score" (fractions) of equal length; the
    last two may be empty or missing. NaN and None leave a gap. `score` is what the score is called. Raises ValueError
    where lengths differ, and OSError, which names `path`, where the file could not be written.
    """
    from matplotlib.figure import Figure

    values = {name: np.array(log.get(name, []), np.float64) for name in ("step", "loss", "lr", "val_step", "score")}
    steps, loss, lr, val_steps, scores = values.values()
    if not steps.shape == loss.shape == lr.shape or val_steps.shape != scores.shape:
        lengths = {name: len(x) for name, x in values.items()}
        raise ValueError(f"log: expected as many loss and lr as step, as many score as val_step, received {lengths}")
    figure = Figure(figsize=(8, 7), dpi=130, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    _draw_loss(top, steps, loss)
    _draw_scores(middle, val_steps, 100 * scores, score)
    bottom.plot(steps, lr, color="#555555", linewidth=1.4)
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
        axes.tick_params(colors="#555555", labelsize=9)
    figure.align_ylabels()
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=figure.dpi)


def _save(path: str | os.PathLike, image: Image.Image) -> None:
    with atomic_file(path) as file:
        image.save(file, format="PNG")


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: the font inside Pillow has only the letters of ASCII."""
    import matplotlib

    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _title_font(title: str, cell: int) -> ImageFont.FreeTypeFont:
    """The largest font, up to TITLE_SIZE, in which a title is no wider than its column."""
    widest = max(_font(TITLE_SIZE).getlength(line) for line in title.split("\n"))
    return _font(max(1, int(TITLE_SIZE * min(1, cell / max(1, widest)))))


def _cell_width(rows: list[list[np.ndarray]]) -> int:
    """Return the width of a column in pixels: a multiple of the cells' width, if they have one in common."""
    cell = min(420, max(180, 1320 // len(rows[0])))
    widths = {x.shape[1] for row in rows for x in row}
    common = widths.pop() if len(widths) == 1 else 1
    return cell // common * common or cell


def _fit(x: np.ndarray, cell: int, palette: np.ndarray) -> Image.Image:
    """Scale a cell to the width of its column, or to 5/4 of that in height if it is then narrower."""
    H, W = x.shape[:2]
    scale = min(cell / W, 1.25 * cell / H)
    size = max(1, round(W * scale)), max(1, round(H * scale))
    if x.ndim == 2:
        return Image.fromarray(colourise(x, palette)).resize(size, Image.Resampling.NEAREST)
    return Image.fromarray(x).resize(size, Image.Resampling.BILINEAR)


def _draw_legend(draw: ImageDraw.ImageDraw, names: list, colours: list, slot: int, lines: int, y: int, width: int):
    """Draw a swatch and a name for each class from row y on, in columns `slot` pixels wide, centred."""
    per_line = -(-len(names) // lines)
    left = max(MARGIN, (width + LEGEND_GAP - per_line * slot) // 2)
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x, top = left + k % per_line * slot, y + k // per_line * LEGEND_LINE + SWATCH // 2
        draw.rectangle((x, top, x + SWATCH - 1, top + SWATCH - 1), tuple(colour), FAINT)  # a rim, for pale colours
        draw.text((x + 3 * SWATCH // 2, top + SWATCH // 2), name, TEXT, _font(FONT_SIZE), "lm")


def _draw_loss(axes, steps: np.ndarray, loss: np.ndarray) -> None:
    """Raw and smoothed training loss; the range leaves out the few highest spikes, which would flatten the rest."""
    axes.plot(steps, loss, color="#4878a8", alpha=0.3, linewidth=0.8, label="raw")
    axes.plot(steps, smoothed(loss, max(5, len(loss) // 50)), color="#1f4e79", linewidth=1.8, label="running mean")
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
    axes.plot(steps, per_cent, color="#b2541a", linewidth=1.4, marker="o", markersize=4)
    best = int(np.nanargmax(per_cent))
    axes.plot(steps[best], per_cent[best], marker="o", markersize=9, markerfacecolor="none", color="#b2541a")
    axes.set_title(f"best {per_cent[best]:.1f} at step {steps[best]:.0f}", loc="right", fontsize=10, color="#b2541a")


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Return the exponential moving average of values (T,) with weight 1/window on the newest, (T,).

    The average is over the values so far (no pull towards 0 at the start), and NaNs are left out of it.
    """
    keep = 1 - 1 / window
    total = weight = 0.0
    means = np.full(len(values), np.nan)
    for t, value in enumerate(values):
        if np.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
        if weight:
            means[t] = total / weight
    return means


def _palette_for(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Check labels (H, W) and their palette (L, 3); return this with an entry for every value of a byte, (256, 3)."""
    if palette.ndim != 2 or palette.shape[1] != 3 or len(palette) > IGNORE_LABEL:
        raise ValueError(f"palette: expected (L, 3) with L <= {IGNORE_LABEL}, received {palette.shape}")
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels: expected (H, W) of integers, received {labels.shape} of {labels.dtype}")
    wrong = labels[((labels < 0) | (labels >= len(palette))) & (labels != IGNORE_LABEL)]
    if wrong.size:
        expected = f"0 to {len(palette) - 1}, or {IGNORE_LABEL} for void"
        raise ValueError(f"labels: expected {expected}, received {wrong[0]}")
    full = np.zeros((256, 3), np.uint8)
    full[: len(palette)] = palette
    full[IGNORE_LABEL] = VOID_COLOUR
    return full


def _check_samples(rows: list[list[np.ndarray]], titles: list[str], classes: list[str], palette: np.ndarray) -> None:
    if not rows or not titles or any(len(row) != len(titles) for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows: expected one or more, each of {len(titles)} cells, received {lengths}")
    if palette.shape != (len(classes), 3):
        raise ValueError(f"palette: expected {(len(classes), 3)} for {len(classes)} classes, received {palette.shape}")
    for x in (x for row in rows for x in row):
        if x.dtype != np.uint8 or x.shape[2:] not in ((), (3,)) or x.size == 0:
            raise ValueError(f"cell: expected uint8 (H, W, 3) or labels (H, W), received {x.dtype} {x.shape}")
