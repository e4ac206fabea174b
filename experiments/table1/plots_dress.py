"""What all drawings of a report have in common. matplotlib is imported where something is drawn, object API only."""

import io

COLOURS = {"fcn32s": "#1f4e79", "fcn16s": "#5b8db8", "fcn8s": "#c96f22"}
TEXT, GREY, FAINT, GRID = "#222222", "#555555", "#9a9a9a", "#e6e6e6"
DPI = 150


def title(network: str) -> str:
    """fcn32s -> FCN-32s."""
    return f"FCN-{network.removeprefix('fcn')}"


def panels(width: float, height: float, count: int, grid: str = "both"):
    """A Figure and its axes, side by side, which share the y axis.  grid: lines at "x", "y" or "both"."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
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
