"""The drawings of stride.py, as bytes of a PNG. matplotlib is imported where something is drawn, object API only."""

import io

import numpy as np

COLOURS = {"fcn32s": "#1f4e79", "fcn16s": "#5b8db8", "fcn8s": "#c96f22"}
MARKERS = {"fcn32s": "o", "fcn16s": "s", "fcn8s": "^"}
SETS = ("#1f4e79", "#2a7f62", "#8a5a9e")  # a colour for each data set of the ceiling
TEXT, GREY, FAINT, GRID, PAPER_COLOUR = "#222222", "#555555", "#9a9a9a", "#e6e6e6", "#b03030"
DPI = 150


def recall_plot(pixels: dict[str, dict], relative: dict[str, dict]) -> bytes:
    """Curves of objects.recall_curves: left against the diameter in pixels, right against diameter / stride."""
    figure, panels = _figure(10.5, 4.4, 2)
    texts = (("diameter (pixels)", "at the same size in pixels"), ("diameter / stride", "at the same size in strides"))
    for axes, curves, (label, head) in zip(panels, (pixels, relative), texts, strict=True):
        for network, curve in curves.items():
            x, recall = curve["x"], 100 * np.array(curve["recall"])  # (seeds, bins)
            style = {"color": COLOURS[network], "label": f"FCN-{network.removeprefix('fcn')}"}
            axes.fill_between(x, recall.min(0), recall.max(0), color=style["color"], alpha=0.18, linewidth=0)
            axes.plot(x, recall.mean(0), linewidth=2, marker=MARKERS[network], markersize=5.5, **style)
        _log_axis(axes, [x for curve in curves.values() for x in curve["x"]])
        axes.set_xlabel(label, color=TEXT, fontsize=12)
        axes.set_title(head, color=TEXT, fontsize=13, pad=10)
        axes.set_ylim(0, 100)
    panels[0].set_ylabel("mean recall of objects (%)", color=TEXT, fontsize=12)
    panels[1].tick_params(labelleft=False)
    panels[0].legend(frameon=False, labelcolor=TEXT, fontsize=11, loc="best")
    return _png(figure)


def ceiling_plot(ceilings: list[dict], paper: dict[int, float]) -> bytes:
    """Jaccard of the coarser truth against the factor, for each of stride.ceiling's records and in the paper."""
    figure, (axes,) = _figure(7.5, 4.6, 1)
    factors = [row[0] for row in ceilings[0]["jaccard"]]
    for found, colour in zip(ceilings, SETS, strict=False):
        columns = np.array(found["jaccard"])  # (factors, 3)
        for column, way, line, marker in (
            (2, "class shares, bilinear", "-", "o"),
            (1, "nearest pixel", (0, (4, 2)), "s"),
        ):
            style = {"color": colour, "linestyle": line, "marker": marker, "label": f"{found['data']}: {way}"}
            axes.plot(columns[:, 0], 100 * columns[:, column], linewidth=2, markersize=6, **style)
    known = [factor for factor in factors if factor in paper]
    style = {"color": PAPER_COLOUR, "linestyle": ":", "marker": "D", "label": "VOC 2011, in the paper"}
    axes.plot(known, [paper[factor] for factor in known], linewidth=1.6, markersize=5, **style)
    _log_axis(axes, factors)
    axes.set_xlabel("factor by which the truth is made coarser", color=TEXT, fontsize=12)
    axes.set_ylabel("Jaccard of the truth (%)", color=TEXT, fontsize=12)
    axes.set_ylim(0, 102)
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=11, loc="lower left")
    return _png(figure)


def _figure(width: float, height: float, panels: int):
    """A figure and its axes, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for one in axes:
        one.grid(color=GRID, linewidth=0.8)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(FAINT)
        one.tick_params(colors=GREY, labelsize=11)
    return figure, axes


def _log_axis(axes, values: list[float]) -> None:
    """A logarithmic x axis with a tick at each power of two."""
    axes.set_xscale("log", base=2)
    low, high = (min(values), max(values)) if values else (1, 2)
    axes.set_xlim(low / 1.2, high * 1.2)
    ticks = 2.0 ** np.arange(np.floor(np.log2(low / 1.2)), np.ceil(np.log2(high * 1.2)) + 1)
    ticks = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    axes.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi)
    return file.getvalue()
