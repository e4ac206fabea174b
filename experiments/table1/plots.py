"""The drawings of a report, as bytes of a PNG. matplotlib is imported where something is drawn: object API only."""

import io

import numpy as np

from .objects import recall_curves

COLOURS = {"fcn32s": "#1f4e79", "fcn16s": "#5b8db8", "fcn8s": "#c96f22"}
ROWS = ("#1f4e79", "#7aa6d1", "#b2541a", "#e39a63", "#e9c46a", "#2a7f62", "#8cc9b2", "#8a8a8a")
PART_COLOURS = {"weights": "#1f4e79", "momentum": "#4878a8", "gradients": "#9dbcd8", "activations": "#d98032"}
PART_COLOURS |= {"workspace": "#f0c9a0", "base": "#c4c4c4"}  # from the bottom of a stack to its top
TEXT, GREY, FAINT, GRID, LIMIT = "#222222", "#555555", "#9a9a9a", "#e6e6e6", "#b03030"
NETWORKS = {n: {"color": c, "marker": m, "markersize": 5.5} for (n, c), m in zip(COLOURS.items(), "os^", strict=True)}
SHARES, NEAREST = {"marker": "o"}, {"marker": "s", "linestyle": (0, (4, 2))}
PAPER = {"color": LIMIT, "marker": "D", "linestyle": ":", "linewidth": 1.6, "markersize": 5}
DASHED = {"color": LIMIT, "linestyle": (0, (5, 3))}
LEGEND = {"frameon": False, "labelcolor": TEXT, "fontsize": 11}
SMALL = LEGEND | {"fontsize": 10}
RATES = ((100, 10), (100 / 3, 30))  # milliseconds a picture, pictures a second


# --- what they have in common ---


def title(network: str) -> str:
    """fcn32s -> FCN-32s."""
    return f"FCN-{network.removeprefix('fcn')}"


def panels(width: float, height: float, count: int = 1, grid: str = "both"):
    """A Figure and its axes, side by side, which share the y axis.  grid: lines at "x", "y" or "both"."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    columns = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for axes in columns:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=GREY, labelsize=11)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(color=TEXT, fontsize=12)
    return figure, columns


def png(figure) -> bytes:
    """The drawing's PNG: the same bytes from the same records."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, metadata={"Software": None})
    return file.getvalue()


# --- lines ---


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
    figure, (axes,) = panels(*size)
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


# --- bars ---


def footprint_plot(records: list[dict]) -> bytes:
    """For each record of cost.train a pair of stacked bars, predicted (hatched) and measured.

    A part below 0 (the rest of a small network) is not drawn.
    """
    from matplotlib.patches import Patch

    figure, (axes,) = panels(max(6.5, 2.6 + 1.45 * len(records)), 5.2, grid="y")
    for kind, side, hatch in (("predicted", -0.21, "////"), ("measured", 0.21, None)):
        x, top = np.arange(len(records)) + side, np.zeros(len(records))
        for part, colour in PART_COLOURS.items():
            sizes = [(r[kind] | {"base": r["base"] * (kind == "measured")})[part] for r in records]
            heights = np.maximum(sizes, 0) / 1e9
            axes.bar(x, heights, 0.38, top, color=colour, edgecolor="white", linewidth=0.6, hatch=hatch)
            top = top + heights
    for place, height in zip(x, top, strict=True):  # of those measured
        axes.text(place, height, f"{height:.2f}", ha="center", va="bottom", fontsize=10, color=TEXT)
    axes.axhline(3, linewidth=1.4, **DASHED)
    axes.text(-0.52, 3.03, "the report: more than 3 GB", color=LIMIT, fontsize=10, va="bottom")
    places(axes, [f"{title(r['network'])}\n{'--low-memory' * r['low_memory']}" for r in records])
    axes.set_ylim(0, 1.08 * max([3.15, *(r["peak"] / 1e9 for r in records)]))
    axes.set_ylabel("memory at the peak, 10$^9$ bytes", fontsize=11)
    labels = {"base": "Python and libraries"}
    swatches = [Patch(color=c, label=labels.get(part, part)) for part, c in reversed(PART_COLOURS.items())]
    for style in ({"hatch": "////", "label": "left: predicted"}, {"label": "right: measured"}):
        swatches.append(Patch(facecolor="white", edgecolor=GREY, **style))
    figure.legend(handles=swatches, loc="outside right upper", **SMALL)
    return png(figure)


def latency_plot(records: list[dict]) -> bytes:
    """For each trunk a panel, for each resolution and number of cores the latencies of cost.segment's records."""
    trunks = list(dict.fromkeys(r["trunk"] for r in records))
    figure, columns = panels(max(6.5, 2.4 + 5.2 * len(trunks)), 5.2, len(trunks), grid="y")
    low, high = min([20.0, *(r["p50"] for r in records)]) / 2, 1.3 * max([120.0, *(r["p95"] for r in records)])
    columns[0].set(yscale="log", ylim=(low, high))
    columns[0].set_ylabel("milliseconds a picture, logarithmic", fontsize=11)
    for axes, trunk in zip(columns, trunks, strict=True):
        latencies(axes, [r for r in records if r["trunk"] == trunk], 1.15 * low)
        axes.set_title(trunk, fontsize=12, color=TEXT)
    columns[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    beside = {"xycoords": ("axes fraction", "data"), "color": LIMIT, "fontsize": 10, "va": "center"}
    for ms, rate in RATES:
        columns[-1].annotate(f"{rate} pictures/s", (1.01, ms), **beside)
    figure.legend(*columns[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, **SMALL)
    return png(figure)


def latencies(axes, records: list[dict], foot: float) -> None:
    """One panel: bars up to the median, its figure at their foot, whiskers up to the 95th percentile."""
    groups = sorted({(r["height"], r["width"], r["cores"]) for r in records})
    style = {"ecolor": GREY, "capsize": 3, "error_kw": {"elinewidth": 1.2}}
    for k, (network, colour) in enumerate(COLOURS.items()):
        chosen = [r for r in records if r["network"] == network]
        x = [groups.index((r["height"], r["width"], r["cores"])) + 0.27 * (k - 1) for r in chosen]
        medians, spread = [r["p50"] for r in chosen], [[0] * len(chosen), [r["p95"] - r["p50"] for r in chosen]]
        axes.bar(x, medians, 0.25, color=colour, label=title(network), yerr=spread, **style)
        for place, p50 in zip(x, medians, strict=True):
            axes.text(place, foot, f"{p50:.0f}", ha="center", va="bottom", fontsize=8, color="white")
    for ms, _ in RATES:
        axes.axhline(ms, linewidth=1.3, **DASHED)
    places(axes, [f"{height} x {width}\n{cores} core{'s' * (cores > 1)}" for height, width, cores in groups])


def places(axes, names: list[str]) -> None:
    """A place on the x axis for each name."""
    axes.set_xticks(range(len(names)), names, fontsize=10)
    axes.set_xlim(-0.55, len(names) - 0.45)
