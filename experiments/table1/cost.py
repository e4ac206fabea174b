"""What training and segmenting cost: seconds, processor time and bytes, each measured in a process of its own.

    measure(train, setting)         training at batch 1: bytes by part, predicted and measured, and seconds a step
    measure(segment, setting)       latency, processor time and memory of one picture at a time, bound to its cores
    measure(speed, setting, 1)      milliseconds a picture of both, alone on the machine with one thread: runs side by
                                    side share its caches and memory, so their own times say little

footprint() and realtime() make of the records of train and segment what the report shows, with verdicts on claims.md.

Pictures and weights are random: that costs what real pictures and trained weights cost. Measured of training are

    weights, momentum, gradients    the arrays' own bytes
    activations                     the arrays that the graph holds when the forward pass is done, each memory block
                                    once, parameters left out. That is exact, where the process's resident memory is
                                    not: freed memory stays with it, so that from the second step on it hardly moves
    base                            what Python and its libraries hold before there is a network
    workspace                       the rest of the process's peak: what comes and goes
"""

import os
import time
from itertools import product
from math import inf
from statistics import median

import numpy as np

from minifcn import autograd, cpu, ops, optim
from minifcn.errors import InputError
from minifcn.models import MODELS
from minifcn.training import evaluation, machine

from .blocks import Block, Heading, Plot, Table, Verdict, judge, prose, section
from .own_process import in_own_process
from .plots import footprint_plot, latency_plot, title

REFERENCE = {"trunk": "vgg16", "pad": 100, "height": 375, "width": 500}  # the commonest size of a VOC picture
TRAINED = {**REFERENCE, "batch": 1, "classes": 21, "steps": 6}
FOOTPRINTS = [{"network": name, "low_memory": low, **TRAINED} for name in MODELS for low in (False, True)]
PICTURES = {"vgg_quarter": 30, "vgg16": 20}  # to segment, by the trunk
WARM, STEPS = 3, 20  # pictures or steps that are not counted, and those of a speed that are
EPOCH = 8498  # pictures of the training set that the lab report used
GB, GIB = 10**9, 2**30
HOURS = (4.0, 6.25)  # "about 5": 5 x 0.8 to 5 x 1.25
LIMIT = 100.0  # milliseconds: 10 pictures/s
POINTS = 0.05  # of Jaccard that FCN-32s may be behind
FEW, ALIKE = 0.80, 0.95  # of FCN-8s's processor time


def latencies(sizes: list[tuple[int, int]], classes: int) -> list[dict]:
    """What to segment: each network at both widths, on pictures of these (height, width), on one core and on two."""
    cores = range(1, min(2, len(my_cores()) or 2) + 1)
    return [
        {"trunk": trunk, "height": height, "width": width, "cores": n, "network": network}
        | {"pictures": PICTURES[trunk], "pad": "same", "classes": classes}
        for trunk, (height, width), n, network in product(PICTURES, sizes, cores, MODELS)
    ]


def my_cores() -> list[int]:
    """The cores that this process may use; none where the system does not bind processes to cores."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def measure(work, setting: dict, threads: int | None = None) -> dict:
    """Return the setting and what work(**setting) finds in a process of its own: with one thread for each core that the
    setting binds it to, or with `threads`.
    """
    cores = setting.get("cores")
    return setting | in_own_process(work, setting, my_cores()[:cores] if cores else None, cores or threads)


# --- in that process ---


def train(network, trunk, pad, height: int, width: int, batch: int, classes: int, low_memory: bool, steps: int) -> dict:
    """Train. The first step is not timed. low_memory: as the trainer has it."""
    base = machine.resident() or machine.peak()
    if base is None:
        raise InputError("this system does not tell how much memory a process holds; leave it out: --without footprint")
    model = MODELS[network](classes, trunk, pad)
    optimiser, activations, seconds = learn(model, (batch, height, width), steps, low_memory)
    parameters, each = model.parameters().values(), median(seconds[1:]) / batch
    measured = {"weights": sum(p.data.nbytes for p in parameters)}
    measured["momentum"] = sum(v.nbytes for v in optimiser.momentum_buffers.values())
    measured["gradients"] = sum(p.grad.nbytes for p in parameters if p.grad is not None)
    measured["activations"] = activations
    peak = machine.peak()
    measured["workspace"] = peak - base - sum(measured.values())
    predicted = machine.estimate_parts(model, batch, height, width, low_memory)
    found = {"predicted": predicted, "measured": measured, "base": base, "peak": peak, "threads": cpu.num_threads()}
    return found | {"seconds": seconds[1:], "seconds_a_picture": each, "hours_an_epoch": each * EPOCH / 3600}


def segment(network, trunk, pad, height: int, width: int, classes: int, cores: int, pictures: int) -> dict:
    """Segment pictures one by one. "bound": whether the process is bound to so many cores, which only Linux can."""
    milliseconds, processor = look(MODELS[network](classes, trunk, pad), height, width, pictures)
    p50, p95 = map(float, np.percentile(milliseconds, (50, 95)))
    found = {"milliseconds": milliseconds, "p50": p50, "p95": p95, "cpu_seconds": processor / pictures}
    return found | {"peak": machine.peak(), "threads": cpu.num_threads(), "bound": len(my_cores()) == cores}


def speed(network, trunk, pad, height: int, width: int, batch: int, classes: int, fc: int | None = None) -> dict:
    """Medians of the steps of a run, and of pictures segmented one by one."""
    model = MODELS[network](classes, trunk, pad, fc=fc)
    _, _, seconds = learn(model, (batch, height, width), WARM + STEPS)
    milliseconds, _ = look(model, height, width, STEPS)
    training_ms = 1000 * median(seconds[WARM:]) / batch
    return {"training_ms": training_ms, "inference_ms": median(milliseconds), "peak": machine.peak()}


def learn(model, shape: tuple[int, int, int], steps: int, low_memory: bool = False):
    """Train as the trainer does; return the optimiser, the bytes of the activations, and the seconds of each step."""
    optimiser = optim.SGD(model.train().parameters(), 1e-4, 0.9, bias_lr=2.0, bias_decay=False)
    if low_memory:
        optimiser.step_during_backward()
        model.recomputed = machine.RECOMPUTED
    rng, seconds = np.random.default_rng(0), []
    x = rng.standard_normal((*shape, 3), np.float32)  # (N, H, W, 3)
    labels = rng.integers(0, model.num_classes, shape, np.uint8)  # (N, H, W)
    for step in range(steps):
        start = time.perf_counter()
        model.start_step(step)
        optimiser.zero_grad()
        loss = ops.softmax_cross_entropy(model(x), labels, reduction="sum") * (1 / labels.size)
        if step == 0:  # not timed
            activations = kept(loss, model)
        loss.backward()
        optim.clip_gradients(model.parameters(), np.inf)  # the trainer asks for the norm
        optimiser.step()
        seconds.append(time.perf_counter() - start)
    return optimiser, activations, seconds


def look(model, height: int, width: int, pictures: int) -> tuple[list[float], float]:
    """Segment as minifcn.predict does, from RGB pixels to classes; return milliseconds, and the processor's seconds."""
    rng, milliseconds = np.random.default_rng(0), []
    shown = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(4)]
    for i in range(WARM + pictures):
        if i == WARM:
            processor = time.process_time()
        start = time.perf_counter()
        evaluation.predict(model, shown[i % len(shown)])
        milliseconds.append(1000 * (time.perf_counter() - start))
    return milliseconds[WARM:], time.process_time() - processor


def kept(loss: autograd.Tensor, model) -> int:
    """Return the bytes of the memory that loss's graph keeps for backward, each block once, parameters left out."""
    values = [value for function in autograd.graph(loss) for value in vars(function).values()]
    blocks = {}
    for value in values:
        if isinstance(value, list | tuple):
            values.extend(value)  # which this loop comes to, too
        elif isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):  # a view keeps all that it is a view of
                value = value.base
            blocks[id(value)] = value.nbytes
    return sum(blocks.values()) - sum(blocks.get(id(p.data), 0) for p in model.parameters().values())


# --- what the report shows and judges: memory and time of training at batch 1 ---


def shown(name: str, rows: list[dict], plot: bytes) -> list[Block]:
    """A section of prose.md with its table and drawing. rows: for each line the values that its prose names."""
    heading, text, header, line, caption = section("prose.md", name)
    table = Table(header.split(" | "), [line.format(**row).split(" | ") for row in rows])
    return [Heading(heading), text, table, Plot(name, plot, caption)]


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


# --- what the report shows and judges: one picture at a time ---


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
        found.append(prose("real time: found", **a | more))
    said = "; ".join(found) or "no width and resolution with both networks trained"
    return judge("real time", any(meets), bool(fails) and all(fails), f"{said}.")


def fewer(pairs: list[tuple[dict, dict]]) -> Verdict:
    shares, found = [a["cpu_seconds"] / b["cpu_seconds"] for a, b in pairs], []
    for (a, b), share in zip(pairs, shares, strict=True):
        more = {"processor": share, "latency": a["p50"] / b["p50"]}
        more["memory"] = f", {a['peak'] / b['peak']:.2f} of the peak memory" if a["peak"] and b["peak"] else ""
        found.append(prose("fewer resources: found", **a | more))
    few, alike = max(shares, default=inf) < FEW, min(shares, default=-inf) > ALIKE
    return judge("fewer resources", few, alike, f"{'; '.join(found) or 'no pair measured, bound to one core'}.")
