"""Everything a user looks at: label pictures, overlays, the table of samples, the training curves.

matplotlib is imported only inside the functions that draw with it (report/plots*.py do so too), through the object API
(Figure, Agg): no display, no pyplot, no global state. Every file is written whole or not at all.

    samples()   picture | truth | 32s | 16s       curves()   training loss, raw and smoothed
                  ...   |  ...  | ... | ...                  validation Jaccard
                [] sky  [] road  [] car                      learning rate
"""

import os

import numpy as np
from PIL import Image

from .files import atomic_file

VOID = 255
VOID_COLOUR = (224, 224, 192)  # the cream of PASCAL VOC, which is also entry 255 of its palette
DPI = 100
MARGIN, GAP, TITLE_LINE, LEGEND_LINE, LEGEND_GAP, SWATCH = 16, 10, 26, 28, 32, 16  # of samples(), in pixels
TITLE_SIZE, FONT_SIZE = 14, 12  # of samples(), in points
TEXT = "#222222"
FAINT = "#9a9a9a"


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the colours of labels (H, W) of any integer dtype, (H, W, 3) uint8; 255 is void.

    Raises:
        ValueError: shapes are wrong, or a label is neither in the palette (L, 3) nor 255.
    """
    _check_labels(labels, palette)
    return _full_palette(palette)[labels]


def overlay(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 tinted with the colours of its labels (H, W); void stays untinted.

    Args:
        alpha: share of the label's colour, 0 to 1.

    Raises:
        ValueError: shapes differ, alpha is out of range, or a label is neither in the palette (L, 3) nor 255.
    """
    if picture.shape != (*labels.shape, 3):
        raise ValueError(f"picture: expected {(*labels.shape, 3)} to fit the labels, got {picture.shape}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected 0 to 1, got {alpha}")
    share = np.where(labels == VOID, 0, alpha)[..., None]  # (H, W, 1)
    return np.rint((1 - share) * picture + share * colourise(labels, palette)).astype(np.uint8)


def save_label_png(path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write labels (H, W), 0 .. L-1 or 255, as a paletted PNG: its pixel values are the labels, and it shows colours.

    Raises:
        ValueError: as colourise.
        OSError: the file could not be written; it names `path`.
    """
    _check_labels(labels, palette)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(_full_palette(palette).tobytes())
    with atomic_file(path) as file:
        image.save(file, format="PNG")


def samples(
    path: str | os.PathLike, rows: list[list[np.ndarray]], titles: list[str], classes: list[str], palette: np.ndarray
) -> None:
    """Draw a table of pictures, such as picture | truth | 32s | 16s, over a legend of the classes.

    Pictures are scaled to the width of their column; they may differ in size. Those that hold colours of the palette
    and void alone are taken for label pictures: scaled without mixing colours, and their void gets into the legend.

    Args:
        path: the PNG to write.
        rows: for each row one picture a column, (H, W, 3) uint8.
        titles: of the columns; may hold line breaks.
        classes: L names.
        palette: (L, 3) uint8.

    Raises:
        ValueError: no row; rows and titles, or classes and palette, differ in length; a picture is not (H, W, 3) uint8.
        OSError: the file could not be written; it names `path`.
    """
    _check_samples(rows, titles, classes, palette)
    known = _packed(np.vstack([palette, [VOID_COLOUR]]))
    names, colours = list(classes), palette.tolist()
    if any((x == VOID_COLOUR).all(2).any() for row in rows for x in row if _is_label_picture(x, known)):
        names, colours = [*names, "void"], [*colours, VOID_COLOUR]

    cell = _cell_width(rows)
    table_width = len(titles) * (cell + GAP) - GAP
    width = 2 * MARGIN + max(table_width, *(_text_width(name) + LEGEND_GAP + SWATCH for name in names))
    columns = [(width - table_width) // 2 + c * (cell + GAP) for c in range(len(titles))]

    head = _paper(MARGIN + TITLE_LINE * max(1 + title.count("\n") for title in titles), width)
    body = [_row_of_pictures([_fit(x, cell, known) for x in row], columns, cell, width) for row in rows]
    foot, name_places = _legend(names, colours, width)
    canvas = np.concatenate([head, *body, foot])
    titled = [(x + cell // 2, len(head) - 7, title) for x, title in zip(columns, titles, strict=True)]
    named = [(x, len(canvas) - len(foot) + y, name) for x, y, name in name_places]
    figure = _with_texts(canvas, titled, named, cell)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=figure.dpi)


def curves(path: str | os.PathLike, log: dict[str, list[float]], score: str = "Jaccard") -> None:
    """Draw the course of a training run over its steps: loss, a validation score in per cent, learning rate.

    Args:
        path: the PNG to write.
        log: "step", "loss" and "lr" of equal length, and "val_step" and "score" (fractions) of equal length; the last
            two may be empty or missing. NaN and None leave a gap.
        score: what the score is called.

    Raises:
        ValueError: the lengths differ.
        OSError: the file could not be written; it names `path`.
    """
    from matplotlib.figure import Figure

    steps, loss, lr, val_steps, scores = (
        np.array(log.get(name, []), np.float64) for name in ("step", "loss", "lr", "val_step", "score")
    )
    if not steps.shape == loss.shape == lr.shape or val_steps.shape != scores.shape:
        lengths = {name: len(log.get(name, [])) for name in ("step", "loss", "lr", "val_step", "score")}
        raise ValueError(f"log: expected as many loss and lr as step, as many score as val_step, got {lengths}")
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


def _paper(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def _cell_width(rows: list[list[np.ndarray]]) -> int:
    """Return the width of a column in pixels: a multiple of the pictures' width, if they have one in common."""
    cell = min(420, max(180, 1320 // len(rows[0])))
    widths = {x.shape[1] for row in rows for x in row}
    common = widths.pop() if len(widths) == 1 else 1
    return cell // common * common or cell


def _fit(x: np.ndarray, cell: int, known: np.ndarray) -> np.ndarray:
    """Scale a picture (H, W, 3) to the width of a column, or to 5/4 of it in height if that is less."""
    H, W, _ = x.shape
    scale = min(cell / W, 1.25 * cell / H)
    size = max(1, round(W * scale)), max(1, round(H * scale))
    method = Image.Resampling.NEAREST if _is_label_picture(x, known) else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(x).resize(size, method))


def _is_label_picture(x: np.ndarray, known: np.ndarray) -> bool:
    """Tell whether every colour of a picture is one of the known, packed ones."""
    return bool(np.isin(_packed(x), known).all())


def _packed(colours: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) as single integers, (...) int64."""
    return colours.astype(np.int64) @ np.array([65536, 256, 1])


def _row_of_pictures(pictures: list[np.ndarray], columns: list[int], cell: int, width: int) -> np.ndarray:
    """Return a strip of paper with the pictures in their columns, each in the middle of its place."""
    height = max(len(x) for x in pictures)
    strip = _paper(height + GAP, width)
    for x, column in zip(pictures, columns, strict=True):
        H, W, _ = x.shape
        top, left = (height - H) // 2, column + (cell - W) // 2
        strip[top : top + H, left : left + W] = x
    return strip


def _legend(names: list[str], colours: list, width: int) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
    """Return a strip of paper with a swatch of each colour, and the places of the names on it as (x, y, name)."""
    slots = [SWATCH + LEGEND_GAP + _text_width(name) for name in names]
    for lines in range(1, len(names) + 1):  # the fewest in which aligned columns fit
        per_line = -(-len(names) // lines)
        starts = np.cumsum([0] + [max(slots[c::per_line]) for c in range(per_line)])  # (per_line + 1,)
        if starts[-1] <= width - 2 * MARGIN + LEGEND_GAP:
            break
    left = max(MARGIN, (width - int(starts[-1]) + LEGEND_GAP - SWATCH // 2) // 2)
    strip = _paper(LEGEND_LINE * lines + MARGIN, width)
    places = []
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x, y = left + int(starts[k % per_line]), k // per_line * LEGEND_LINE + SWATCH // 2
        strip[y : y + SWATCH, x : x + SWATCH] = 150  # a grey rim, for colours close to the paper's
        strip[y + 1 : y + SWATCH - 1, x + 1 : x + SWATCH - 1] = colour
        places.append((x + 3 * SWATCH // 2, y + SWATCH // 2, name))
    return strip, places


def _text_width(text: str) -> int:
    """Return the width of a text of the legend in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=DPI)
    drawn = figure.text(0, 0, text, fontsize=FONT_SIZE, parse_math=False)
    return int(np.ceil(drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width))


def _with_texts(canvas: np.ndarray, titles: list[tuple], names: list[tuple], cell: int):
    """Return a Figure of the canvas (H, W, 3), pixel for pixel, with titles and names at their (x, y, text)."""
    from matplotlib.figure import Figure
    from matplotlib.transforms import IdentityTransform

    H, W, _ = canvas.shape
    # Half a pixel more, since Agg rounds down: 1.23 * 100 must not become 122.
    figure = Figure(figsize=((W + 0.5) / DPI, (H + 0.5) / DPI), dpi=DPI, facecolor="white")
    figure.figimage(canvas)
    style = {"transform": IdentityTransform(), "color": TEXT, "parse_math": False}
    for x, y, title in titles:
        widest = _text_width(title) * TITLE_SIZE / FONT_SIZE
        size = TITLE_SIZE * min(1, cell / max(1, widest))
        figure.text(x, H - y, title, fontsize=size, ha="center", va="bottom", **style)
    for x, y, name in names:
        figure.text(x, H - y, name, fontsize=FONT_SIZE, va="center_baseline", **style)
    return figure


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


def _full_palette(palette: np.ndarray) -> np.ndarray:
    """Return the palette (L, 3) with an entry for every value of a byte, (256, 3) uint8; 255 is void's."""
    full = np.zeros((256, 3), np.uint8)
    full[: len(palette)] = palette
    full[VOID] = VOID_COLOUR
    return full


def _check_labels(labels: np.ndarray, palette: np.ndarray) -> None:
    if palette.ndim != 2 or palette.shape[1] != 3 or len(palette) > VOID:
        raise ValueError(f"palette: expected (L, 3) with L <= {VOID}, got {palette.shape}")
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels: expected (H, W) of integers, got {labels.shape} of {labels.dtype}")
    wrong = labels[((labels < 0) | (labels >= len(palette))) & (labels != VOID)]
    if wrong.size:
        raise ValueError(f"label value {wrong[0]}: expected 0 to {len(palette) - 1}, or {VOID} for void")


def _check_samples(rows: list[list[np.ndarray]], titles: list[str], classes: list[str], palette: np.ndarray) -> None:
    if not rows or not titles or any(len(row) != len(titles) for row in rows):
        raise ValueError(
            f"rows: expected one or more, each of {len(titles)} pictures, got {[len(row) for row in rows]}"
        )
    if palette.shape != (len(classes), 3):
        raise ValueError(f"palette: expected {(len(classes), 3)} for {len(classes)} classes, got {palette.shape}")
    for x in (x for row in rows for x in row):
        if x.dtype != np.uint8 or x.ndim != 3 or x.shape[2] != 3 or x.size == 0:
            raise ValueError(f"picture: expected (H, W, 3) uint8, got {x.shape} {x.dtype}")
