"""What segmenting one picture costs: latency, processor time and memory at batch 1.

    records = [measure(**setting) for setting in settings(sizes)]    each in a process of its own, bound to its cores
    blocks(records)                                             what the report shows of them, verdicts included

A picture goes the way of minifcn.predict, from its RGB pixels to its classes: preprocessing, network, argmax. Weights
are random, which costs what trained ones cost. So the Jaccard comes from whoever trained such a network: pass it to
measure(), or add it to the record.
"""

import os
import time

import numpy as np

from minifcn.cpu.threads import num_threads
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import MODELS
from minifcn.training import machine
from minifcn.training.evaluation import predict

from .blocks import Block, Claim, Heading, Plot, Table, Text, Verdict
from .footprint import CLASSES, GB, NETWORKS
from .own_process import in_own_process
from .plots_cost import latency_plot
from .plots_dress import title

TRUNKS = ("vgg_quarter", "vgg16")
PICTURES = {"vgg_quarter": 30, "vgg16": 20}
WARM = 3  # pictures that are not counted
LIMIT = 100.0  # milliseconds: 10 pictures/s
POINTS = 0.05  # of Jaccard that FCN-32s may be behind
FEW, ALIKE = 0.80, 0.95  # of FCN-8s's processor time

ENOUGH = Claim(
    "real time",
    "FCN-32s is accurate enough and cheap enough for an embedded, real-time use.",
    "at some width and resolution where FCN-32s and FCN-8s were both trained on the same data, FCN-32s segments 95 of "
    "100 pictures in at most 100 ms each (10 pictures/s), bound to one core, and its Jaccard is at most 5 points below "
    "FCN-8s's.",
    "there is such a width and resolution, and at each of them the median is above 100 ms or FCN-32s is more than 5 "
    "points behind. Undecided where no such pair was trained, FCN-8s to a Jaccard above 1 / classes, which one class "
    "everywhere may reach, or where the limit lies between median and 95th percentile. "
    "The sentence names no figures: 10 pictures/s and 5 points are our reading, and 30 pictures/s is told beside it. "
    "The core is not an embedded one, which is slower: support here is needed for the sentence but does not prove it.",
)
FEWER = Claim(
    "fewer resources",
    "FCN-32s needs fewer resources than FCN-8s.",
    "at every width and resolution measured FCN-32s takes less than 0.80 of the processor time that FCN-8s takes for a "
    "picture, each bound to one core.",
    "at every one of them it takes more than 0.95 of it. Undecided otherwise. Median latency and peak memory are told "
    "beside it.",
)


def settings(sizes: list[tuple[int, int]]) -> list[dict]:
    """What to measure: each network at both widths, on pictures of these (height, width), on one core and on two."""
    return [
        {"network": network, "trunk": trunk, "height": height, "width": width, "cores": cores}
        for trunk in TRUNKS
        for height, width in sizes
        for cores in range(1, min(2, reachable_cores()) + 1)
        for network in NETWORKS
    ]


def reachable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(
    network: str,
    trunk: str,
    height: int,
    width: int,
    cores: int,
    pictures: int | None = None,
    classes: int = CLASSES,
    jaccard: float | None = None,
    data: str | None = None,
) -> dict:
    """Segment pictures one by one in a process of its own and return the record of it: plain numbers.

    cores: how many the process is bound to, and its threads; where the system cannot bind (it is no Linux), "bound" is
    False. jaccard: what a trained network of this kind reaches, a fraction, and on which data. Raises ValueError where
    there are not so many cores, RuntimeError where the process fails.
    """
    mine = None
    if hasattr(os, "sched_setaffinity"):
        there = sorted(os.sched_getaffinity(0))
        if not 1 <= cores <= len(there):
            raise ValueError(f"cores: expected 1 to {len(there)}, which this process may use, received {cores}")
        mine = there[:cores]
    pictures = PICTURES.get(trunk, min(PICTURES.values())) if pictures is None else pictures
    setting = {"network": network, "trunk": trunk, "height": height, "width": width}
    record = in_own_process(__name__, setting | {"pictures": pictures, "classes": classes}, mine, cores)
    bound = record.pop("allowed") == cores
    return record | {"cores": cores, "bound": bound, "jaccard": jaccard, "data": data}


def run(network: str, trunk: str, height: int, width: int, pictures: int, classes: int) -> dict:
    """Segment pictures, here."""
    model = MODELS[network](classes, trunk, "same")
    rng, preprocessing = np.random.default_rng(0), Preprocessing()
    shown = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(4)]
    seconds = []
    for i in range(WARM + pictures):
        if i == WARM:
            processor = time.process_time()
        start = time.perf_counter()
        predict(model, preprocessing.apply(shown[i % len(shown)])[None])
        seconds.append(time.perf_counter() - start)
    processor = time.process_time() - processor
    milliseconds = [1000 * s for s in seconds[WARM:]]
    p50, p95 = np.percentile(milliseconds, (50, 95))
    return {
        "network": network,
        **{"trunk": trunk, "pad": "same", "height": height, "width": width, "classes": classes},
        **{"pictures": pictures, "threads": num_threads()},
        "milliseconds": milliseconds,
        "p50": float(p50),
        "p95": float(p95),
        "cpu_seconds": processor / pictures,
        "peak": machine.peak(),
        "allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


# --- what the report makes of it ---


def blocks(records: list[dict]) -> list[Block]:
    """Return the report's section: the table, the drawing, the verdicts."""
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
        table(records),
        Plot("latency", latency_plot(records), "Latency at batch 1: median, and whiskers up to the 95th percentile."),
        *verdicts(records),
    ]


def table(records: list[dict]) -> Table:
    header = ["network", "trunk", "picture", "cores", "p50, ms", "p95, ms", "pictures/s", "CPU-s a picture"]
    return Table([*header, "peak, GB", "Jaccard, %"], [row(r) for r in records])


def row(r: dict) -> list[str]:
    return [
        title(r["network"]),
        r["trunk"],
        f"{r['height']} x {r['width']}",
        f"{r['cores']}" + ", not bound" * (not r["bound"]),
        f"{r['p50']:.1f}",
        f"{r['p95']:.1f}",
        f"{1000 / r['p50']:.1f}",
        f"{r['cpu_seconds']:#.3g}",
        "unknown" if r["peak"] is None else f"{r['peak'] / GB:.2f}",
        "not trained" if r.get("jaccard") is None else f"{100 * r['jaccard']:.1f} ({r['data']})",
    ]


def verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims, by processes that were bound to one core."""
    pairs = _pairs(records)
    return [_enough(pairs), _fewer(pairs)]


def _pairs(records: list[dict]) -> list[tuple[dict, dict]]:
    """FCN-32s and FCN-8s of one width and resolution, each bound to one core."""
    alone = [r for r in records if r["cores"] == 1 and r["bound"]]
    ours, theirs = ([r for r in alone if r["network"] == name] for name in ("fcn32s", "fcn8s"))
    kind = ("trunk", "height", "width", "pad", "classes")
    return [(a, b) for a in ours for b in theirs if all(a[name] == b[name] for name in kind)]


def _enough(pairs: list[tuple[dict, dict]]) -> Verdict:
    trained = [(a, b) for a, b in pairs if _jaccard(a) and _jaccard(b) and a["data"] == b["data"]]
    trained = [(a, b) for a, b in trained if b["jaccard"] > 1 / b["classes"]]
    behind = [round(b["jaccard"] - a["jaccard"], 9) for a, b in trained]  # 0.55 - 0.50 is 0.05, not a little more
    meets = [a["p95"] <= LIMIT and gap <= POINTS for (a, _), gap in zip(trained, behind, strict=True)]
    fails = [a["p50"] > LIMIT or gap > POINTS for (a, _), gap in zip(trained, behind, strict=True)]
    verdict = "supported" if any(meets) else "refuted" if fails and all(fails) else "undecided"
    found = [
        f"{_kind(a)}: {a['p50']:.0f} ms, 95th percentile {a['p95']:.0f} ms"
        f"{', 30 pictures/s too' * (a['p95'] <= LIMIT * 10 / 30)}, Jaccard {100 * a['jaccard']:.1f} % against "
        f"{100 * b['jaccard']:.1f} % of FCN-8s ({a['data']})"
        for a, b in trained
    ]
    return Verdict(ENOUGH, verdict, ("; ".join(found) or "no width and resolution with both networks trained") + ".")


def _fewer(pairs: list[tuple[dict, dict]]) -> Verdict:
    shares = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in pairs]
    few, alike = [share < FEW for share in shares], [share > ALIKE for share in shares]
    verdict = "supported" if few and all(few) else "refuted" if alike and all(alike) else "undecided"
    found = [
        f"{_kind(a)}: {share:.2f} of the processor time, {a['p50'] / b['p50']:.2f} of the median latency{_memory(a, b)}"
        for (a, b), share in zip(pairs, shares, strict=True)
    ]
    return Verdict(FEWER, verdict, ("; ".join(found) or "no pair measured, bound to one core") + ".")


def _jaccard(r: dict) -> bool:
    return r.get("jaccard") is not None


def _kind(r: dict) -> str:
    return f"{r['trunk']} at {r['height']} x {r['width']}"


def _memory(a: dict, b: dict) -> str:
    return f", {a['peak'] / b['peak']:.2f} of the peak memory" if a["peak"] and b["peak"] else ""
