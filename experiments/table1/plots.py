"""The drawings of table.py, pretraining.py and stride.py, as bytes of a PNG."""

import numpy as np

from .objects import recall_curves
from .plots_dress import COLOURS, TEXT, panels, png, title

ROWS = ("#1f4e79", "#7aa6d1", "#b2541a", "#e39a63", "#e9c46a", "#2a7f62", "#8cc9b2", "#8a8a8a")
NETWORKS = {n: {"color": c, "marker": m, "markersize": 5.5} for (n, c), m in zip(COLOURS.items(), "os^", strict=True)}
SHARES, NEAREST = {"marker": "o"}, {"marker": "s", "linestyle": (0, (4, 2))}
PAPER = {"color": "#b03030", "marker": "D", "linestyle": ":", "linewidth": 1.6, "markersize": 5}
LEGEND = {"frameon": False, "labelcolor": TEXT, "fontsize": 11}


def recall_plot(records: list[dict]) -> bytes:
    """Recall of objects: left against the diameter in pixels, right against diameter / stride."""
    figure, (left, right) = panels(10.5, 4.4, 2)
    for axes, relative, unit, label in ((left, False, "pixels", "(pixels)"), (right, True, "strides", "/ stride")):
        lines = {title(name): (*curve, NETWORKS[name]) for name, curve in recall_curves(records, relative).items()}
        draw(axes, lines, 0.18, xlabel=f"diameter {label}", ylim=(0, 100))
        axes.set_title(f"at the same size in {unit}", color=TEXT, fontsize=13, pad=10)
    left.set_ylabel("mean recall of objects (%)")
    left.legend(loc="best", **LEGEND)
    right.tick_params(labelleft=False)
    return png(figure)


def ceiling_plot(found: dict, paper: dict[int, float]) -> bytes:
    """Jaccard of the coarser truth against the factor, of stride.ceiling's record and in the paper."""
    factors, nearest, shares = np.array(found["jaccard"]).T
    known = [factor for factor in factors if factor in paper]
    lines = {
        f"{found['data']}: class shares, bilinear": (factors, shares, SHARES),
        f"{found['data']}: nearest pixel": (factors, nearest, NEAREST),
        "VOC 2011, in the paper": (known, np.array([paper[factor] for factor in known]) / 100, PAPER),
    }
    labels = {"xlabel": "factor by which the truth is made coarser", "ylabel": "Jaccard of the truth (%)"}
    return drawing((7.5, 4.6), lines, "lower left", **labels, ylim=(0, 102))


def courses(lines: dict[str, list[list[list[float]]]]) -> bytes:
    """Jaccard on the held-out tenth over the steps. lines: for each name the courses of its seeds, [step, _, score]."""
    found = [np.nan_to_num(np.array(seeds, float)) for seeds in lines.values()]  # (seeds, validations, 3) each
    drawn = {name: (x[0, :, 0], x[..., 2], {"color": c}) for name, x, c in zip(lines, found, ROWS, strict=True)}
    labels = {"xlabel": "step of the run", "ylabel": "Jaccard, held-out tenth (%)", "xlim": (0, None)}
    return drawing((9.5, 5), drawn, "outside right center", logarithmic=False, **labels)


def fractions(shares: tuple[float, ...], scores: dict[str, list[float]]) -> bytes:
    """Jaccard against the share of the training pictures, a line for each start."""
    styles = [{"marker": "o", "color": colour} for colour in (ROWS[0], ROWS[2])]
    lines = {name: (shares, x, style) for (name, x), style in zip(scores.items(), styles, strict=True)}
    return drawing((7.5, 4.4), lines, xlabel="share of the training pictures", ylabel="Jaccard (%)")


def drawing(size, lines: dict[str, tuple], legend: str = "best", ylim=(0, None), **settings) -> bytes:
    """A panel with lines."""
    figure, (axes,) = panels(*size, 1)
    draw(axes, lines, 0.15, ylim=ylim, **settings)
    (figure if "outside" in legend else axes).legend(loc=legend, **LEGEND)
    return png(figure)


def draw(axes, lines: dict[str, tuple], alpha: float, logarithmic: bool = True, **settings) -> None:
    """Draw lines: for each label x, values from 0 to 1, (points) or (seeds, points), and its style.

    A line is at the mean of the seeds, in a band from the least to the largest. A logarithmic x axis has a tick at each
    power of two.
    """
    for label, (x, values, style) in lines.items():
        style, values = {"color": ROWS[0], "linewidth": 2} | style, 100 * np.atleast_2d(values)
        axes.fill_between(x, values.min(0), values.max(0), color=style["color"], alpha=alpha, linewidth=0)
        axes.plot(x, values.mean(0), label=label, **style)
    if logarithmic:
        every = np.concatenate([x for x, _, _ in lines.values()])
        low, high = every.min() / 1.2, every.max() * 1.2
        ticks = [tick for tick in 2.0 ** np.arange(np.floor(np.log2(low)), np.log2(high) + 1) if low <= tick <= high]
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
        settings["xlim"] = low, high
    axes.set(**settings)
