"""The drawings of cost_found.py, as bytes of a PNG."""

from .plots_dress import COLOURS, GREY, TEXT, panels, png, title

PART_COLOURS = {"weights": "#1f4e79", "momentum": "#4878a8", "gradients": "#9dbcd8", "activations": "#d98032"}
PART_COLOURS |= {"workspace": "#f0c9a0", "base": "#c4c4c4"}  # from the bottom of a stack to its top
LIMIT = "#b03030"
DASHED = {"color": LIMIT, "linestyle": (0, (5, 3))}
LEGEND = {"frameon": False, "fontsize": 10, "labelcolor": TEXT}
RATES = ((100, 10), (100 / 3, 30))  # milliseconds a picture, pictures a second


def footprint_plot(records: list[dict]) -> bytes:
    """For each record of cost.train a pair of stacked bars, predicted (hatched) and measured."""
    from matplotlib.patches import Patch

    figure, (axes,) = panels(max(6.5, 2.6 + 1.45 * len(records)), 5.2, 1, grid="y")
    for i, r in enumerate(records):
        _stack(axes, i - 0.21, r["predicted"] | {"base": 0}, hatch="////")
        top = _stack(axes, i + 0.21, r["measured"] | {"base": r["base"]})
        axes.text(i + 0.21, top, f"{top:.2f}", ha="center", va="bottom", fontsize=10, color=TEXT)
    axes.axhline(3, linewidth=1.4, **DASHED)
    axes.text(-0.52, 3.03, "the report: more than 3 GB", color=LIMIT, fontsize=10, va="bottom")
    names = [f"{title(r['network'])}\n{'--low-memory' * r['low_memory']}" for r in records]
    axes.set_xticks(range(len(records)), names, fontsize=10)
    axes.set(xlim=(-0.55, len(records) - 0.45), ylim=(0, 1.08 * max([3.15, *(r["peak"] / 1e9 for r in records)])))
    axes.set_ylabel("memory at the peak, 10$^9$ bytes", fontsize=11)
    labels = {"base": "Python and libraries"}
    swatches = [Patch(color=c, label=labels.get(part, part)) for part, c in reversed(PART_COLOURS.items())]
    for style in ({"hatch": "////", "label": "left: predicted"}, {"label": "right: measured"}):
        swatches.append(Patch(facecolor="white", edgecolor=GREY, **style))
    figure.legend(handles=swatches, loc="outside right upper", **LEGEND)
    return png(figure)


def _stack(axes, x: float, parts: dict[str, int], hatch: str | None = None) -> float:
    """Draw a stack of parts in GB and return its height; a part below 0 (a small network's rest) is not drawn."""
    top = 0.0
    for part, colour in PART_COLOURS.items():
        height = max(0, parts[part]) / 1e9
        axes.bar(x, height, 0.38, top, color=colour, edgecolor="white", linewidth=0.6, hatch=hatch)
        top += height
    return top


def latency_plot(records: list[dict]) -> bytes:
    """For each trunk a panel, for each resolution and number of cores the latencies of cost.segment's records."""
    trunks = list(dict.fromkeys(r["trunk"] for r in records))
    figure, columns = panels(max(6.5, 2.4 + 5.2 * len(trunks)), 5.2, len(trunks), grid="y")
    first, last = columns[0], columns[-1]
    low, high = min([20.0, *(r["p50"] for r in records)]) / 2, 1.3 * max([120.0, *(r["p95"] for r in records)])
    first.set(yscale="log", ylim=(low, high))
    first.set_ylabel("milliseconds a picture, logarithmic", fontsize=11)
    for axes, trunk in zip(columns, trunks, strict=True):
        _latencies(axes, [r for r in records if r["trunk"] == trunk], 1.15 * low)
        axes.set_title(trunk, fontsize=12, color=TEXT)
    first.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    beside = {"xycoords": ("axes fraction", "data"), "color": LIMIT, "fontsize": 10, "va": "center"}
    for ms, rate in RATES:
        last.annotate(f"{rate} pictures/s", (1.01, ms), **beside)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=3, **LEGEND)
    return png(figure)


def _latencies(axes, records: list[dict], foot: float) -> None:
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
    names = [f"{height} x {width}\n{cores} core{'s' * (cores > 1)}" for height, width, cores in groups]
    axes.set_xticks(range(len(groups)), names, fontsize=10)
    axes.set_xlim(-0.55, len(groups) - 0.45)
