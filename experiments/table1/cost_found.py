"""What a report makes of its costs: the tables, the drawings, and the verdicts (claims.md) on records of cost.py.

footprint(records)    of `train`: memory and time of training at batch 1
realtime(records)     of `segment`: one picture at a time
"""

from math import inf

import numpy as np

from .blocks import Block, Heading, Plot, Table, Text, Verdict, claim, decide
from .cost import EPOCH, MODELS, REFERENCE
from .plots_cost import PARTS, footprint_plot, latency_plot
from .plots_dress import title

GB, GIB = 10**9, 2**30
HOURS = (4.0, 6.25)  # "about 5": 5 x 0.8 to 5 x 1.25
LIMIT = 100.0  # milliseconds: 10 pictures/s
POINTS = 0.05  # of Jaccard that FCN-32s may be behind
FEW, ALIKE = 0.80, 0.95  # of FCN-8s's processor time


def gb(count: int) -> str:
    return f"{count / GB:.2f}"


# --- memory and time of training ---


def footprint(records: list[dict]) -> list[Block]:
    """The section on training: predicted against measured by part, drawn, and the verdicts."""
    header = ["network", "setting", *PARTS]
    caption = "Memory of a training step at batch 1, predicted and measured (with Python and its libraries)."
    return [
        Heading("Memory and time of training at batch 1"),
        Text(
            "Each row is a process of its own that trains on one random picture. A part is predicted before the run "
            "and measured in it: `predicted` / `measured`, in 10^9 bytes. Base is what Python and its libraries hold; "
            "it is not predicted. Workspace is the rest of the measured peak: gradients on their way and the "
            "convolutions' own memory. Activations are counted when the forward pass is done. An epoch is "
            f"{EPOCH:,} pictures at the median second of the steps after the first."
        ),
        Table([*header, "base", "all", "ratio", "s a picture", "hours an epoch"], [footprint_row(r) for r in records]),
        Plot("footprint", footprint_plot(records), caption),
        *footprint_verdicts(records),
    ]


def footprint_row(r: dict) -> list[str]:
    predicted, measured = r["predicted"], r["measured"]
    foreseen = sum(predicted.values()) + r["base"]  # what a machine must have, as far as it can be foretold
    low, high = hours_range(r)
    setting = f"{r['trunk']}, {r['height']} x {r['width']}, pad {r['pad']}" + ", low memory" * r["low_memory"]
    parts = [f"{predicted[part] / GB:.3f} / {measured[part] / GB:.3f}" for part in PARTS]
    cells = [title(r["network"]), setting, *parts, f"{r['base'] / GB:.3f}"]
    cells += [f"{gb(foreseen)} / {gb(r['peak'])}", f"{foreseen / r['peak']:.2f}"]
    return [*cells, f"{r['seconds_a_picture']:#.3g}", f"{r['hours_an_epoch']:.2f} ({low:.2f} to {high:.2f})"]


def hours_range(r: dict) -> tuple[float, float]:
    """First and third quartile of the steps' seconds, as hours an epoch."""
    low, high = np.percentile(r["seconds"], (25, 75)) * EPOCH / 3600
    return float(low), float(high)


def footprint_verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims by the records of the reference's setting; others are left out."""
    records = [r for r in records if all(r[name] == value for name, value in REFERENCE.items())]
    normal = {r["network"]: r for r in records if not r["low_memory"]}
    missing = [title(name) for name in MODELS if name not in normal]

    def judge(name: str, supports, refutes, say) -> Verdict:
        supported = all(net in normal and supports(normal[net]) for net in ("fcn32s", "fcn16s"))
        refuted = all(net in normal and refutes(normal[net]) for net in MODELS)
        found = [f"{title(r['network'])}{' with --low-memory' * r['low_memory']} {say(r)}" for r in records]
        found += [f"not measured: {', '.join(missing)}"] * bool(missing)
        return decide(claim(name), supported, refuted, f"{'; '.join(found)}.")

    def within(r: dict) -> bool:
        low, high = hours_range(r)
        return HOURS[0] <= low and high <= HOURS[1]

    def outside(r: dict) -> bool:
        low, high = hours_range(r)
        return high < HOURS[0] or HOURS[1] < low

    above, below = (lambda r: r["peak"] > 3 * GIB), (lambda r: r["peak"] < 3 * GB)
    return [
        judge("memory of training", above, below, lambda r: f"{gb(r['peak'])} GB"),
        judge("hours an epoch", within, outside, lambda r: "{:.2f} to {:.2f} hours".format(*hours_range(r))),
    ]


# --- one picture at a time ---


def realtime(records: list[dict]) -> list[Block]:
    """The section on segmenting: the table, the drawing, the verdicts."""
    header = ["network", "trunk", "picture", "cores", "p50, ms", "p95, ms", "pictures/s", "CPU-s a picture"]
    return [
        Heading("Segmenting in real time"),
        Text(
            'One picture at a time, pad "same", from RGB pixels to classes as `python -m minifcn.predict` has it, file '
            "reading and writing left out. Each row is a process of its own, bound to its cores where not said "
            "otherwise. Weights are random: that costs what trained ones cost. A Jaccard is the table's: of this "
            "network's row that is best on the held-out tenth, mean over the seeds; those rows differ in steps. "
            "Milliseconds are the median and the 95th percentile; processor time is that of all threads; memory is the "
            "process's peak. That FCN-32s needs no DAG is so by construction: it is a chain."
        ),
        Table([*header, "peak, GB", "Jaccard, %"], [realtime_row(r) for r in records]),
        Plot("latency", latency_plot(records), "Latency at batch 1: median, and whiskers up to the 95th percentile."),
        *realtime_verdicts(records),
    ]


def realtime_row(r: dict) -> list[str]:
    cores = f"{r['cores']}" + ", not bound" * (not r["bound"])
    cells = [title(r["network"]), r["trunk"], f"{r['height']} x {r['width']}", cores]
    cells += [f"{r['p50']:.1f}", f"{r['p95']:.1f}", f"{1000 / r['p50']:.1f}", f"{r['cpu_seconds']:#.3g}"]
    peak = "unknown" if r["peak"] is None else gb(r["peak"])
    return [*cells, peak, "not trained" if r["jaccard"] is None else f"{100 * r['jaccard']:.1f} ({r['data']})"]


def realtime_verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims by pairs: FCN-32s and FCN-8s of one width and resolution, each bound to one core."""
    alone = [r for r in records if r["cores"] == 1 and r["bound"]]
    ours, theirs = ([r for r in alone if r["network"] == name] for name in ("fcn32s", "fcn8s"))
    kind = ("trunk", "height", "width", "pad", "classes")
    pairs = [(a, b) for a in ours for b in theirs if all(a[name] == b[name] for name in kind)]
    return [_enough(pairs), _fewer(pairs)]


def _enough(pairs: list[tuple[dict, dict]]) -> Verdict:
    meets, fails, found = [], [], []
    for a, b in pairs:
        if None in (a["jaccard"], b["jaccard"]) or a["data"] != b["data"] or b["jaccard"] <= 1 / b["classes"]:
            continue
        behind = round(b["jaccard"] - a["jaccard"], 9)  # 0.55 - 0.50 is 0.05, not a little more
        meets.append(a["p95"] <= LIMIT and behind <= POINTS)
        fails.append(a["p50"] > LIMIT or behind > POINTS)
        found.append(
            f"{_kind(a)}: {a['p50']:.0f} ms, 95th percentile {a['p95']:.0f} ms"
            f"{', 30 pictures/s too' * (a['p95'] <= LIMIT * 10 / 30)}, Jaccard {100 * a['jaccard']:.1f} % against "
            f"{100 * b['jaccard']:.1f} % of FCN-8s ({a['data']})"
        )
    refuted = bool(fails) and all(fails)
    said = "; ".join(found) or "no width and resolution with both networks trained"
    return decide(claim("real time"), any(meets), refuted, f"{said}.")


def _fewer(pairs: list[tuple[dict, dict]]) -> Verdict:
    shares, found = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in pairs], []
    for (a, b), share in zip(pairs, shares, strict=True):
        times = f"{share:.2f} of the processor time, {a['p50'] / b['p50']:.2f} of the median latency"
        memory = f", {a['peak'] / b['peak']:.2f} of the peak memory" if a["peak"] and b["peak"] else ""
        found.append(f"{_kind(a)}: {times}{memory}")
    few, alike = max(shares, default=inf) < FEW, min(shares, default=-inf) > ALIKE
    said = "; ".join(found) or "no pair measured, bound to one core"
    return decide(claim("fewer resources"), few, alike, f"{said}.")


def _kind(r: dict) -> str:
    return f"{r['trunk']} at {r['height']} x {r['width']}"
