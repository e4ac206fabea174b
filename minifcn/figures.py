"""Everything a user looks at: label pictures, overlays, the table of samples, the training curves.

Pillow draws the table. matplotlib draws the curves, and is imported only inside the functions that use it: through the
object API (Figure, Agg), with no display, no pyplot and no global state. Every file is written whole or not at all.

    samples()   picture | truth | 32s | 16s       curves()      training loss, raw and smoothed, and validation loss
                  ...   |  ...  | ... | ...                     validation Jaccard
                [] sky  [] road  [] car                         learning rate
    compare()   picture | truth | prediction | errors           confusion()   true against predicted classes
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from unicodedata import bidirectional

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin, features

from .datasets.colours import is_background
from .datasets.pictures import IGNORE_LABEL, pixel_counts
from .files import MARK, atomic_file

VOID_COLOUR = (224, 224, 192)  # the cream of PASCAL VOC, which is also entry 255 of its palette
MARGIN, GAP, TITLE_LINE, LEGEND_LINE, LEGEND_GAP, SWATCH = 16, 10, 26, 28, 32, 16  # of samples(), in pixels
TITLE_SIZE, FONT_SIZE = 19, 16  # of samples(), in pixels
TEXT, FAINT, GREY, BLUE, ORANGE = "#222222", "#9a9a9a", "#555555", "#1f4e79", "#b2541a"
WRONG, VOID_GREY, BAND = (214, 40, 40), 150, 256  # of errors(); rows that are drawn at a time


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the colours of labels (H, W) of any integer dtype, (H, W, 3) uint8; 255 is void.

    Raises ValueError where a label is neither in the palette (L, 3) nor 255.
    """
    return np.asarray(label_image(labels, palette).convert("RGB"))


def label_image(labels: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Return labels as an image with a palette, which has an entry for every value of a byte. Raises as colourise."""
    wrong = labels[((labels < 0) | (labels >= len(palette))) & (labels != IGNORE_LABEL)]
    if wrong.size:
        raise ValueError(f"labels: expected 0 to {len(palette) - 1}, or {IGNORE_LABEL} for void, received {wrong[0]}")
    colours = np.zeros((256, 3), np.uint8)
    colours[IGNORE_LABEL], colours[: len(palette)] = VOID_COLOUR, palette
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(colours.tobytes())
    return image


def overlay(picture: np.ndarray, labels: np.ndarray, classes: list[str], palette: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8, half of it the colours of its labels (H, W), and all of it at their borders.

    Void stays as it is; so does a first class called background or the like. A border's line is a pixel wide in each
    class, in large pictures a pixel for every 400 of the longer side.
    """
    return np.concatenate([*_overlay_bands(picture, labels, classes, palette)])


def _overlay_bands(picture, labels, classes, palette) -> Iterator[np.ndarray]:
    """Yield overlay's rows, BAND at a time: all at once would take tens of bytes a pixel."""
    line = max(1, round(max(labels.shape) / 400))
    around = np.pad(labels, line, "edge")
    for top in range(0, len(labels), BAND):
        near, shown = around[top : top + BAND + 2 * line], labels[top : top + BAND]
        border = np.zeros(shown.shape, bool)
        for x, found in ((near[:, line:-line], border), (near[line:-line].T, border.T)):  # along columns, along rows
            changes = np.cumsum(np.diff(x, axis=0, prepend=x[:1]) != 0, axis=0, dtype=np.uint16)  # modulo 2^16
            found |= changes[2 * line :] != changes[: -2 * line]  # any within `line`?
        share = np.where(border, 1, np.float32(0.5))[..., None]  # (h, W, 1)
        share[(shown == IGNORE_LABEL) | (shown == 0) & is_background(classes[0])] = 0
        yield np.rint((1 - share) * picture[top : top + BAND] + share * colourise(shown, palette)).astype(np.uint8)


def save_overlay(path, picture: np.ndarray, labels: np.ndarray, classes: list[str], palette, mark: str = MARK) -> None:
    """Write the overlay of a picture as a PNG, and below it a legend of the classes that occur; white is untinted.

    Raises ValueError as colourise does, and OSError, which names `path`, where the file could not be written.
    """
    (H, W), names, colours = labels.shape, _names(classes), palette.copy()
    colours[: is_background(classes[0])] = 255
    key = [(names[c], colours[c].tolist()) for c in np.flatnonzero(pixel_counts(labels)[:IGNORE_LABEL])]
    legend = _legend(key, W, max(1, min(max(H, W) / 1000, W / 200, H / 10)))  # of a strip it stays small
    canvas = Image.new("RGB", (legend.width, H + legend.height), "white")
    for i, band in enumerate(_overlay_bands(picture, labels, classes, palette)):
        canvas.paste(Image.fromarray(band), ((legend.width - W) // 2, i * BAND))
    canvas.paste(legend, (0, H))
    _save(path, canvas.save, mark)


def save_label_png(path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray, mark: str = "") -> None:
    """Write labels (H, W), 0 .. L-1 or 255, as a paletted PNG: its pixel values are the labels, and it shows colours.

    mark: what the file says of itself. Raises ValueError as colourise does, and OSError as save_overlay.
    """
    _save(path, label_image(labels, palette).save, mark)


def _save(path: str | os.PathLike, save: Callable, mark: str = "") -> None:
    """Write an image, or a figure, by its own function. mark: what an image says of how it was made."""
    made = PngImagePlugin.PngInfo()
    made.add_text("Software", mark)
    with atomic_file(path) as file:
        save(file, format="png", **{"pnginfo": made} if mark else {})


# --- the table of samples ---


def samples(path: str | os.PathLike, rows: list[list], titles: list[str], classes: list[str], palette, mark="") -> None:
    """Write a PNG with a table of pictures, such as picture | truth | 32s | 16s, over a legend of the L classes.

    A row has one cell a column. A cell (H, W, 3) uint8 is a picture and is shown as it is; a cell (H, W) uint8 holds
    labels and is shown in the colours of the palette (L, 3), and if any of them is void, so is the legend. Cells are
    scaled to the width of their column, pictures bilinearly, labels by nearest neighbour; they may differ in size.
    Titles may hold line breaks. Raises ValueError where these do not fit together, and OSError, which names `path`,
    where the file could not be written.
    """
    key = list(zip(_names(classes), palette.tolist(), strict=True))
    if any((x == IGNORE_LABEL).any() for x in chain(*rows) if x.ndim == 2):
        key.append(("void", VOID_COLOUR))
    widest = max(x.shape[1] for x in chain(*rows))
    cell = min(420, max(180, 1320 // len(titles)))  # the width of a column: a multiple of the widest cell's, if it can
    cell = cell // widest * widest or cell
    legend = _legend(key, len(titles) * (cell + GAP) - GAP + 2 * MARGIN)
    columns = [(legend.width + GAP + (2 * c - len(titles)) * (cell + GAP)) // 2 for c in range(len(titles))]
    table = [[_fit(x, cell, palette) for x in row] for row in rows]
    heights = [max(image.height for image in row) + GAP for row in table]
    y = MARGIN + TITLE_LINE * max(1 + title.count("\n") for title in titles)

    canvas = Image.new("RGB", (legend.width, y + sum(heights) + legend.height), "white")
    draw = ImageDraw.Draw(canvas)
    for x, title in zip(columns, titles, strict=True):
        longest = max(_font(TITLE_SIZE).getlength(line) for line in title.split("\n"))
        font = _font(max(1, int(TITLE_SIZE * min(1, cell / max(1, longest)))))  # no wider than the column
        draw.text((x + cell / 2, y - 6), title, TEXT, font, "md", align="center")
    for row, height in zip(table, heights, strict=True):
        for x, image in zip(columns, row, strict=True):
            canvas.paste(image, (x + (cell - image.width) // 2, y + (height - GAP - image.height) // 2))
        y += height
    canvas.paste(legend, (0, y))
    _save(path, canvas.save, mark)


def compare(path, examples: list[tuple], classes: list[str], palette: np.ndarray, mark: str = MARK) -> None:
    """Write a PNG with a row for each example: picture (H, W, 3), true labels (H, W), those predicted, the errors."""
    rows = [[*example, errors(*example)] for example in examples]
    samples(path, rows, ["picture", "truth", "prediction", "errors"], classes, palette, mark=mark)


def errors(picture: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 in grey, red where labels (H, W) are not the true ones; void is plain grey."""
    drawn = np.empty_like(picture)
    for rows in (slice(top, top + BAND) for top in range(0, len(picture), BAND)):
        x = np.repeat(100 + picture[rows].mean(axis=2, keepdims=True) / 2, 3, axis=2)  # (h, W, 3), pale
        wrong = truth[rows] != labels[rows]
        x[wrong] = 0.3 * x[wrong] + 0.7 * np.array(WRONG)
        x[truth[rows] == IGNORE_LABEL] = VOID_GREY
        drawn[rows] = x
    return drawn


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: the font inside Pillow has only the letters of ASCII."""
    import matplotlib

    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _names(classes: list[str], leftwards: bool = features.check("raqm")) -> list[str]:
    """The names of classes, each in one line; the number of a class whose name cannot be drawn.

    That is one with letters that the font lacks, or with Hebrew or Arabic ones where nothing sets them leftwards.
    """
    from matplotlib.ft2font import FT2Font

    letters = {*map(chr, FT2Font(_font(FONT_SIZE).path).get_charmap())}
    if not leftwards:
        letters = {letter for letter in letters if bidirectional(letter) not in ("R", "AL")}
    names = [" ".join(name.split()) for name in classes]
    return [name if letters.issuperset(name) else f"class {c}" for c, name in enumerate(names)]


def _fit(x: np.ndarray, cell: int, palette: np.ndarray) -> Image.Image:
    """Scale a cell to the width of its column, or to 5/4 of that in height if it is then narrower."""
    H, W = x.shape[:2]
    scale = min(cell / W, 1.25 * cell / H)
    size = max(1, round(W * scale)), max(1, round(H * scale))
    image = Image.fromarray(x) if x.ndim == 3 else label_image(x, palette)
    return image.resize(size, Image.Resampling.BILINEAR)  # of an image with a palette Pillow takes the nearest pixels


def _legend(key: list[tuple], width: int, scale: float = 1) -> Image.Image:
    """Draw a strip with a swatch and a name for each class, centred; `width` wide, or as the longest name needs it."""
    margin, gap, line, swatch = (round(scale * size) for size in (MARGIN, LEGEND_GAP, LEGEND_LINE, SWATCH))
    font = _font(round(scale * FONT_SIZE))
    slot = swatch + gap + round(max((font.getlength(name) for name, _ in key), default=0))
    width = max(width, slot + 2 * margin)
    lines = -(-len(key) // ((width - 2 * margin + gap) // slot))
    per_line = -(-len(key) // max(1, lines))
    left = max(margin, (width + gap - per_line * slot) // 2)
    strip = Image.new("RGB", (width, line * lines + margin), "white")
    draw = ImageDraw.Draw(strip)
    for k, (name, colour) in enumerate(key):
        x, top = left + k % per_line * slot, k // per_line * line + swatch // 2
        draw.rectangle((x, top, x + swatch - 1, top + swatch - 1), tuple(colour), FAINT)  # a rim, for pale colours
        draw.text((x + 3 * swatch // 2, top + swatch // 2), name, TEXT, font, "lm")
    return strip


# --- the confusion matrix ---


def confusion(path: str | os.PathLike, counts: np.ndarray, classes: list[str]) -> None:
    """Draw counts (L, L) of true against predicted pixels as a PNG, each row in per cent of the true class's pixels.

    A class without pixels has an empty row. Raises OSError, which names `path`, where the file could not be written.
    """
    from matplotlib.figure import Figure

    L, names = len(classes), [name[:24] for name in _names(classes, leftwards=False)]
    per_cent = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))  # (L, L)
    figure = Figure(figsize=[3 + 0.42 * min(L, 35)] * 2, dpi=120, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.imshow(per_cent, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(L), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(L), names, fontsize=8, parse_math=False)
    axes.set(xlabel="predicted, % of the true", ylabel="true")
    for i, j in np.argwhere(counts) if L <= 35 else ():  # a number would not fit a smaller cell
        colour = "white" if per_cent[i, j] > 55 else TEXT
        axes.text(j, i, f"{per_cent[i, j]:.0f}", color=colour, fontsize=8, ha="center", va="center")
    _save(path, partial(figure.savefig, metadata={"Software": MARK}))


# --- the training curves ---


def curves(path: str | os.PathLike, log: list[dict], column: str, score: str) -> None:
    """Draw the course of a training run over its steps as a PNG: loss, a validation score in per cent, learning rate.

    log: rows with "step", "loss" and "lr", some with the score, a fraction, in `column`, or "val_loss"; NaN is a gap.
    `score` is what it is called. Raises OSError, which names `path`, where the file could not be written.
    """
    from matplotlib.figure import Figure

    steps, loss, lr = (np.array([row[name] for row in log], np.float64) for name in ("step", "loss", "lr"))
    found = ([(row["step"], row[name]) for row in log if name in row] for name in (column, "val_loss"))
    scores, validated = (np.array(pairs, np.float64).reshape(-1, 2) for pairs in found)
    figure = Figure(figsize=(8, 7), dpi=130, facecolor="white", layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    _draw_loss(top, steps, loss, validated)
    _draw_scores(middle, scores[:, 0], 100 * scores[:, 1], score)
    bottom.plot(steps, lr, color=GREY, linewidth=1.4)
    bottom.set(xlabel="step", ylabel="learning rate", ylim=(0, 1.15 * np.nanmax(lr, initial=0) or 1))
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    bottom.xaxis.get_major_locator().set_params(integer=True)
    for axes in (top, middle, bottom):
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=GREY, labelsize=9)
    figure.align_ylabels()
    _save(path, figure.savefig)


def _draw_loss(axes, steps: np.ndarray, loss: np.ndarray, validated: np.ndarray) -> None:
    """Training loss, raw and smoothed, its few highest spikes left out; validated: steps and losses (V,2)."""
    axes.plot(steps, loss, color="#4878a8", alpha=0.3, linewidth=0.8, label="raw")
    axes.plot(steps, smoothed(loss, max(5, len(loss) // 50)), color=BLUE, linewidth=1.8, label="running mean")
    if len(validated):
        axes.plot(*validated.T, color=ORANGE, linewidth=1.4, marker="o", markersize=4, label="validation")
    axes.set_ylabel("loss")
    finite = loss[np.isfinite(loss)]
    if finite.size:
        axes.set_ylim(min(0, finite.min()), 1.1 * np.nanmax([np.quantile(finite, 0.995), *validated[:, 1]]) or 1)
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=9, loc="lower right", bbox_to_anchor=(1.01, 1), ncols=2)


def _draw_scores(axes, steps: np.ndarray, per_cent: np.ndarray, name: str) -> None:
    """A validation score, and its best value."""
    axes.set(ylabel=f"validation {name} (%)", ylim=(0, min(100, max(10, 1.2 * np.nanmax(per_cent, initial=0)))))
    if np.isnan(per_cent).all():  # also when empty
        axes.text(0.5, 0.5, "no validation yet", transform=axes.transAxes, ha="center", va="center", color=FAINT)
        return
    axes.plot(steps, per_cent, color=ORANGE, linewidth=1.4, marker="o", markersize=4)
    best = int(np.nanargmax(per_cent))
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
