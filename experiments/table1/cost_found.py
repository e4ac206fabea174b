"""What a report makes of its costs: the tables, the drawings, and the verdicts (claims.md) on records of cost.py.

footprint(records)    of `train`: memory and time of training at batch 1
realtime(records)     of `segment`: one picture at a time
"""

from itertools import product
from math import inf

import numpy as np

from .blocks import Block, Heading, Plot, Table, Text, Verdict, judge, prose, section
from .cost import EPOCH, MODELS, REFERENCE
from .plots import footprint_plot, latency_plot, title

GB, GIB = 10**9, 2**30
HOURS = (4.0, 6.25)  # "about 5": 5 x 0.8 to 5 x 1.25
LIMIT = 100.0  # milliseconds: 10 pictures/s
POINTS = 0.05  # of Jaccard that FCN-32s may be behind
FEW, ALIKE = 0.80, 0.95  # of FCN-8s's processor time


def shown(name: str, rows: list[dict], plot: bytes) -> list[Block]:
    """A section of prose.md with its table and drawing. rows: for each line the values that its prose names."""
    heading, text, header, line, caption = section("prose.md", name)
    table = Table(header.split(" | "), [line.format(**row).split(" | ") for row in rows])
    return [Heading(heading), Text(text), table, Plot(name, plot, caption)]


# --- memory and time of training ---


def footprint(records: list[dict]) -> list[Block]:
    rows = []
    for r in records:
        parts = {kind: {part: size / GB for part, size in r[kind].items()} for kind in ("predicted", "measured")}
        foreseen = sum(r["predicted"].values()) + r["base"]  # what a machine must have, as far as it can be foretold
        low, high = hours_range(r)
        row = {"title": title(r["network"]), "low_memory": ", low memory" * r["low_memory"], "low": low, "high": high}
        row |= {"base": r["base"] / GB, "all": foreseen / GB, "peak": r["peak"] / GB, "ratio": foreseen / r["peak"]}
        rows.append(r | parts | row)
    return shown("footprint", rows, footprint_plot(records)) + footprint_verdicts(records)


def hours_range(r: dict) -> tuple[float, float]:
    """First and third quartile of the steps' seconds, as hours an epoch."""
    low, high = np.percentile(r["seconds"], (25, 75)) * EPOCH / 3600
    return float(low), float(high)


def footprint_verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims by the records of the reference's setting; others are left out."""
    measured = {(r["network"], r["low_memory"]): r for r in records if r.items() >= REFERENCE.items()}

    def verdict(name: str, of, inner: tuple[float, float], outer: tuple[float, float], say: str) -> Verdict:
        """Supported where FCN-32s's and 16s's range lies in `inner`, refuted where all three lie out of `outer`."""
        ranges = {setting: of(r) for setting, r in measured.items()}
        normal = [ranges.get((model, False), (-inf, inf)) for model in MODELS]  # -inf to inf: unknown
        supported = all(inner[0] <= low and high <= inner[1] for low, high in normal[:2])
        refuted = all(high < outer[0] or outer[1] < low for low, high in normal)
        found = [f"{title(net)}{' with --low-memory' * low} {say.format(*ranges[net, low])}" for net, low in ranges]
        missing = ", ".join(title(model) for model in MODELS if (model, False) not in measured)
        return judge(name, supported, refuted, "; ".join(found + [f"not measured: {missing}"] * bool(missing)) + ".")

    above, below = (3 * GIB / GB + 1e-9, inf), (3, inf)
    return [
        verdict("memory of training", lambda r: (r["peak"] / GB, r["peak"] / GB), above, below, "{:.2f} GB"),
        verdict("hours an epoch", hours_range, HOURS, HOURS, "{:.2f} to {:.2f} hours"),
    ]


# --- one picture at a time ---


def realtime(records: list[dict]) -> list[Block]:
    rows = []
    for r in records:
        row = {"title": title(r["network"]), "binding": ", not bound" * (not r["bound"]), "rate": 1000 / r["p50"]}
        row["gb"] = "unknown" if r["peak"] is None else f"{r['peak'] / GB:.2f}"
        row["score"] = "not trained" if r["jaccard"] is None else f"{100 * r['jaccard']:.1f} ({r['data']})"
        rows.append(r | row)
    return shown("latency", rows, latency_plot(records)) + realtime_verdicts(records)


def realtime_verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims by pairs: FCN-32s and FCN-8s of one width and resolution, each bound to one core."""
    bound = [r for r in records if r["cores"] == 1 and r["bound"]]
    ours, theirs = ([r for r in bound if r["network"] == name] for name in ("fcn32s", "fcn8s"))
    kind = ("trunk", "height", "width", "pad", "classes")
    pairs = [(a, b) for a, b in product(ours, theirs) if all(a[name] == b[name] for name in kind)]
    return [enough(pairs), fewer(pairs)]


def enough(pairs: list[tuple[dict, dict]]) -> Verdict:
    meets, fails, found = [], [], []
    for a, b in pairs:
        if None in (a["jaccard"], b["jaccard"]) or a["data"] != b["data"] or b["jaccard"] <= 1 / b["classes"]:
            continue
        near = round(b["jaccard"] - a["jaccard"], 9) <= POINTS  # 0.55 - 0.50 is 0.05, not a little more
        meets.append(near and a["p95"] <= LIMIT)
        fails.append(not near or a["p50"] > LIMIT)
        more = {"thirty": ", 30 pictures/s too" * (a["p95"] <= LIMIT * 10 / 30)}
        more |= {"ours": 100 * a["jaccard"], "theirs": 100 * b["jaccard"]}
        found.append(prose("real time: found", **a | more).text)
    said = "; ".join(found) or "no width and resolution with both networks trained"
    return judge("real time", any(meets), bool(fails) and all(fails), f"{said}.")


def fewer(pairs: list[tuple[dict, dict]]) -> Verdict:
    shares, found = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in pairs], []
    for (a, b), share in zip(pairs, shares, strict=True):
        more = {"processor": share, "latency": a["p50"] / b["p50"]}
        more["memory"] = f", {a['peak'] / b['peak']:.2f} of the peak memory" if a["peak"] and b["peak"] else ""
        found.append(prose("fewer resources: found", **a | more).text)
    few, alike = max(shares, default=inf) < FEW, min(shares, default=-inf) > ALIKE
    return judge("fewer resources", few, alike, f"{'; '.join(found) or 'no pair measured, bound to one core'}.")
