"""The drawings of table.py, pretraining.py and stride.py, as bytes of a PNG."""

import numpy as np

from .plots_dress import COLOURS, TEXT, panels, png, title

MARKERS = {"fcn32s": "o", "fcn16s": "s", "fcn8s": "^"}
PAPER_COLOUR = "#b03030"
ROWS = ("#1f4e79", "#7aa6d1", "#b2541a", "#e39a63", "#e9c46a", "#2a7f62", "#8cc9b2", "#8a8a8a")
LEGEND = {"frameon": False, "labelcolor": TEXT, "fontsize": 11}


def recall_plot(pixels: dict[str, tuple], relative: dict[str, tuple]) -> bytes:
    """Curves of objects.recall_curves: left against the diameter in pixels, right against diameter / stride."""
    figure, (left, right) = panels(10.5, 4.4, 2)
    for axes, curves, unit in ((left, pixels, "pixels"), (right, relative, "strides")):
        for network, (x, recall) in curves.items():
            _band(axes, x, 100 * recall, 0.18, color=COLOURS[network], label=title(network), marker=MARKERS[network])
        _log_axis(axes, np.concatenate([x for x, _ in curves.values()]))
        axes.set_title(f"at the same size in {unit}", color=TEXT, fontsize=13, pad=10)
    left.set(xlabel="diameter (pixels)", ylabel="mean recall of objects (%)", ylim=(0, 100))
    right.set(xlabel="diameter / stride")
    right.tick_params(labelleft=False)
    left.legend(loc="best", **LEGEND)
    return png(figure)


def ceiling_plot(found: dict, paper: dict[int, float]) -> bytes:
    """Jaccard of the coarser truth against the factor, of stride.ceiling's record and in the paper."""
    figure, (axes,) = panels(7.5, 4.6, 1)
    factors, nearest, shares = np.array(found["jaccard"]).T
    style = {"color": ROWS[0], "linewidth": 2, "markersize": 6}
    axes.plot(factors, 100 * shares, marker="o", label=f"{found['data']}: class shares, bilinear", **style)
    dashes = {"marker": "s", "linestyle": (0, (4, 2))}
    axes.plot(factors, 100 * nearest, label=f"{found['data']}: nearest pixel", **dashes, **style)
    known = [factor for factor in factors if factor in paper]
    style = {"color": PAPER_COLOUR, "linestyle": ":", "linewidth": 1.6, "marker": "D", "markersize": 5}
    axes.plot(known, [paper[factor] for factor in known], label="VOC 2011, in the paper", **style)
    _log_axis(axes, factors)
    axes.set(xlabel="factor by which the truth is made coarser", ylabel="Jaccard of the truth (%)", ylim=(0, 102))
    axes.legend(loc="lower left", **LEGEND)
    return png(figure)


def courses(lines: dict[str, list[list[list[float]]]]) -> bytes:
    """Jaccard on the held-out tenth over the steps. lines: for each name the courses of its seeds, [step, _, score]."""
    figure, (axes,) = panels(9.5, 5, 1)
    for (name, seeds), colour in zip(lines.items(), ROWS, strict=True):
        steps = [step for step, _, _ in seeds[0]]
        scores = np.array([[100 * (score or 0.0) for _, _, score in course] for course in seeds])  # (seeds, steps)
        _band(axes, steps, scores, 0.15, color=colour, label=name)
    axes.set(xlabel="step of the run", ylabel="Jaccard, held-out tenth (%)", xlim=(0, None), ylim=(0, None))
    figure.legend(loc="outside right center", **LEGEND)
    return png(figure)


def fractions(shares: tuple[float, ...], scores: dict[str, list[float]]) -> bytes:
    """Jaccard against the share of the training pictures, a line for each start."""
    figure, (axes,) = panels(7.5, 4.4, 1)
    for (name, values), colour in zip(scores.items(), (ROWS[0], ROWS[2]), strict=True):
        axes.plot(shares, 100 * np.array(values), color=colour, linewidth=2, marker="o", label=name)
    _log_axis(axes, shares)
    axes.set(xlabel="share of the training pictures", ylabel="Jaccard (%)", ylim=(0, None))
    axes.legend(**LEGEND)
    return png(figure)


def _band(axes, x: list[float], values: np.ndarray, alpha: float, color: str, **style) -> None:
    """A line at the mean of values (seeds, points), in a band from the least to the largest."""
    axes.fill_between(x, values.min(0), values.max(0), color=color, alpha=alpha, linewidth=0)
    axes.plot(x, values.mean(0), color=color, linewidth=2, markersize=5.5, **style)


def _log_axis(axes, values: list[float]) -> None:
    """A logarithmic x axis with a tick at each power of two."""
    low, high = min(values) / 1.2, max(values) * 1.2
    ticks = [tick for tick in 2.0 ** np.arange(np.floor(np.log2(low)), np.log2(high) + 1) if low <= tick <= high]
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
