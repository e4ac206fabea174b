"""Drawings of training runs for a report, as PNG bytes. matplotlib is imported only where something is drawn."""

import io

import numpy as np

TEXT, GRID = "#222222", "#e6e6e6"
COLOURS = ("#1f4e79", "#7aa6d1", "#b2541a", "#e39a63", "#e9c46a", "#2a7f62", "#8cc9b2", "#8a8a8a")
DPI = 130


def courses(lines: dict[str, list[list[list[float]]]]) -> bytes:
    """Jaccard on the held-out tenth over the steps. lines: for each name the courses of its seeds, [step, _, score]."""
    figure, axes = _figure(8.5, 5)
    for (name, seeds), colour in zip(lines.items(), COLOURS, strict=False):
        steps = [step for step, _, _ in seeds[0]]
        scores = 100 * np.array([[score or 0.0 for _, _, score in course] for course in seeds])  # (seeds, validations)
        axes.fill_between(steps, scores.min(0), scores.max(0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, scores.mean(0), color=colour, linewidth=2, label=name)
    axes.set(xlabel="step of the run", ylabel="Jaccard, held-out tenth (%)", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _png(figure)


def fractions(shares: tuple[float, ...], scores: dict[str, list[float]]) -> bytes:
    """Jaccard (per cent) against the share of the training pictures, a line for each start."""
    figure, axes = _figure(6.5, 4)
    for (name, values), colour in zip(scores.items(), (COLOURS[0], COLOURS[2]), strict=True):
        axes.plot(shares, values, color=colour, linewidth=2, marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.set(xlabel="share of the training pictures", ylabel="Jaccard (%)", ylim=(0, None))
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=9)
    return _png(figure)


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors="#555555", labelsize=9)
    return figure, axes


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
