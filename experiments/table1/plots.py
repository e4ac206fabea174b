"""The drawings of table.py, pretraining.py and stride.py, as bytes of a PNG."""

import numpy as np

from .plots_dress import COLOURS, TEXT, panels, png, title

MARKERS = {"fcn32s": "o", "fcn16s": "s", "fcn8s": "^"}
SETS = ("#1f4e79", "#2a7f62", "#8a5a9e")  # a colour for each data set of the ceiling
PAPER_COLOUR = "#b03030"
ROWS = ("#1f4e79", "#7aa6d1", "#b2541a", "#e39a63", "#e9c46a", "#2a7f62", "#8cc9b2", "#8a8a8a")


def recall_plot(pixels: dict[str, dict], relative: dict[str, dict]) -> bytes:
    """Curves of objects.recall_curves: left against the diameter in pixels, right against diameter / stride."""
    figure, both = panels(10.5, 4.4, 2)
    texts = (("diameter (pixels)", "at the same size in pixels"), ("diameter / stride", "at the same size in strides"))
    for axes, curves, (label, head) in zip(both, (pixels, relative), texts, strict=True):
        for network, curve in curves.items():
            x, recall = curve["x"], 100 * np.array(curve["recall"])  # (seeds, bins)
            style = {"color": COLOURS[network], "label": title(network)}
            axes.fill_between(x, recall.min(0), recall.max(0), color=style["color"], alpha=0.18, linewidth=0)
            axes.plot(x, recall.mean(0), linewidth=2, marker=MARKERS[network], markersize=5.5, **style)
        _log_axis(axes, [x for curve in curves.values() for x in curve["x"]])
        axes.set_xlabel(label, color=TEXT, fontsize=12)
        axes.set_title(head, color=TEXT, fontsize=13, pad=10)
        axes.set_ylim(0, 100)
    both[0].set_ylabel("mean recall of objects (%)", color=TEXT, fontsize=12)
    both[1].tick_params(labelleft=False)
    both[0].legend(frameon=False, labelcolor=TEXT, fontsize=11, loc="best")
    return png(figure)


def ceiling_plot(ceilings: list[dict], paper: dict[int, float]) -> bytes:
    """Jaccard of the coarser truth against the factor, for each of stride.ceiling's records and in the paper."""
    figure, (axes,) = panels(7.5, 4.6, 1)
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
    return png(figure)


def courses(lines: dict[str, list[list[list[float]]]]) -> bytes:
    """Jaccard on the held-out tenth over the steps. lines: for each name the courses of its seeds, [step, _, score]."""
    figure, (axes,) = panels(9.5, 5, 1)
    for (name, seeds), colour in zip(lines.items(), ROWS, strict=True):
        steps = [step for step, _, _ in seeds[0]]
        scores = 100 * np.array([[score or 0.0 for _, _, score in course] for course in seeds])  # (seeds, validations)
        axes.fill_between(steps, scores.min(0), scores.max(0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, scores.mean(0), color=colour, linewidth=2, label=name)
    axes.set_xlabel("step of the run", color=TEXT, fontsize=12)
    axes.set_ylabel("Jaccard, held-out tenth (%)", color=TEXT, fontsize=12)
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    figure.legend(loc="outside right center", frameon=False, labelcolor=TEXT, fontsize=11)
    return png(figure)


def fractions(shares: tuple[float, ...], scores: dict[str, list[float]]) -> bytes:
    """Jaccard (per cent) against the share of the training pictures, a line for each start."""
    figure, (axes,) = panels(7.5, 4.4, 1)
    for (name, values), colour in zip(scores.items(), (ROWS[0], ROWS[2]), strict=True):
        axes.plot(shares, values, color=colour, linewidth=2, marker="o", label=name)
    _log_axis(axes, list(shares))
    axes.set_xlabel("share of the training pictures", color=TEXT, fontsize=12)
    axes.set_ylabel("Jaccard (%)", color=TEXT, fontsize=12)
    axes.set_ylim(0, None)
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=11)
    return png(figure)


def _log_axis(axes, values: list[float]) -> None:
    """A logarithmic x axis with a tick at each power of two."""
    axes.set_xscale("log", base=2)
    low, high = (min(values), max(values)) if values else (1, 2)
    axes.set_xlim(low / 1.2, high * 1.2)
    ticks = 2.0 ** np.arange(np.floor(np.log2(low / 1.2)), np.ceil(np.log2(high * 1.2)) + 1)
    ticks = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    axes.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
