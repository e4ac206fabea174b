"""What training costs at batch 1: bytes by part, predicted against measured, and the hours of an epoch.

    records = [measure(**setting) for setting in SETTINGS]      each in a process of its own: about half a minute
    blocks(records)                                             what the report shows of them, verdicts included

Measured are, of a network in real training steps on random data,

    weights, momentum, gradients    the arrays' own bytes
    activations                     the arrays that the graph holds when the forward pass is done, each memory block
                                    once, parameters left out. That is exact, where the process's resident memory is
                                    not: freed memory stays with it, so that from the second step on it hardly moves
    base                            what Python and its libraries hold before there is a network
    workspace                       the rest of the process's peak: what comes and goes
"""

import math
import time
from collections.abc import Iterator
from statistics import median, quantiles

import numpy as np

from minifcn.autograd import Tensor, graph
from minifcn.cpu.threads import num_threads
from minifcn.errors import InputError
from minifcn.models import MODELS
from minifcn.ops import softmax_cross_entropy
from minifcn.optim import SGD, clip_gradients
from minifcn.training import machine

from .blocks import Block, Claim, Heading, Plot, Table, Text, Verdict
from .own_process import in_own_process
from .plots_cost import PARTS, footprint_plot
from .plots_dress import title

NETWORKS = ("fcn32s", "fcn16s", "fcn8s")
CLASSES = 21  # VOC's
PICTURES = 8498  # of the training set that the lab report used
REFERENCE = {"trunk": "vgg16", "pad": 100, "height": 375, "width": 500}  # the commonest size of a VOC picture
SETTINGS = [{"model_name": name, "low_memory": low, **REFERENCE} for name in NETWORKS for low in (False, True)]
GB, GIB = 10**9, 2**30
HOURS = (4.0, 6.25)  # "about 5": 5 x 0.8 to 5 x 1.25

MEMORY = Claim(
    "memory of training",
    "Training takes more than 3 GB at batch 1.",
    "without --low-memory the processes that train FCN-32s and FCN-16s both peak above 3.22 x 10^9 bytes (3 x 2^30): "
    "VGG-16, 21 classes, float32, SGD with momentum, one picture of 375 x 500 with pad 100.",
    "without --low-memory FCN-32s, FCN-16s and FCN-8s each peak below 3.00 x 10^9 bytes there. Undecided in between, "
    "where it depends on what a GB is. The sentence tells of another program on another machine: measured here is "
    "whether such training must take so much, not whether that program did.",
)
EPOCH = Claim(
    "hours an epoch",
    "An epoch of 8,498 pictures takes about 5 hours.",
    "for FCN-32s and FCN-16s (setting as above, without --low-memory) 8,498 times the seconds of a step, from the "
    "first to the third quartile of the steps after the first, lies within 4 to 6.25 hours (5 x 0.8 to 5 x 1.25).",
    "for FCN-32s, FCN-16s and FCN-8s each that range lies wholly outside. Undecided where a range straddles a limit or "
    "networks differ. Reading pictures and validation are not in it. The sentence tells of another program on another "
    "machine: measured here is whether its figure holds for this one, not whether it was right there.",
)


def measure(
    model_name: str, low_memory: bool, height=375, width=500, trunk="vgg16", pad: int | str = 100, steps: int = 6
) -> dict:
    """Train `steps` steps at batch 1 in a process of its own, and return the record of it: plain numbers, bytes.

    The first step is not timed. low_memory: as the trainer has it. Raises InputError with the process's last words
    where it fails, ValueError for less than 2 steps.
    """
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, as the first is not timed, received {steps}")
    setting = {"model_name": model_name, "low_memory": low_memory, "height": height, "width": width}
    return in_own_process(__name__, setting | {"trunk": trunk, "pad": pad, "steps": steps})


# --- in that process ---


def run(model_name: str, low_memory: bool, height: int, width: int, trunk: str, pad, steps: int) -> dict:
    """Train and measure, here."""
    base = machine.resident() or machine.peak()
    if base is None:
        raise InputError("this system does not tell how much memory a process holds; leave it out: --without footprint")
    model = MODELS[model_name](CLASSES, trunk, pad).train()
    optimiser = SGD(model.parameters(), 1e-4, 0.9, bias_lr=2.0, bias_decay=False)
    if low_memory:
        optimiser.step_during_backward()
        model.recomputed = machine.RECOMPUTED
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, height, width, 3), np.float32)
    labels = rng.integers(0, CLASSES, (1, height, width), np.uint8)
    seconds, activations = [], 0
    for step in range(steps):
        start = time.perf_counter()
        loss = forward(model, optimiser, x, labels, step)
        if step == 0:  # not timed
            activations = sum(buffers(loss, model).values())
        backward(model, optimiser, loss)
        seconds.append(time.perf_counter() - start)
    peak, gradients = machine.peak(), [p.grad for p in model.parameters().values() if p.grad is not None]
    measured = {
        "weights": sum(p.data.nbytes for p in model.parameters().values()),
        "momentum": sum(v.nbytes for v in optimiser.momentum_buffers.values()),
        "gradients": sum(grad.nbytes for grad in gradients),
        "activations": activations,
    }
    measured["workspace"] = peak - base - sum(measured.values())
    each = median(seconds[1:])
    return {
        "network": model_name,
        "low_memory": low_memory,
        **{"trunk": trunk, "pad": pad, "height": height, "width": width},
        **{"batch": 1, "classes": CLASSES, "steps": steps, "threads": num_threads()},
        "predicted": machine.estimate_parts(model, 1, height, width, low_memory),
        "measured": measured,
        "base": base,
        "peak": peak,
        "seconds": seconds[1:],
        "seconds_a_picture": each,
        "hours_an_epoch": hours(each),
    }


def forward(model, optimiser: SGD, x, labels, step: int) -> Tensor:
    """The first half of loop.Run.train_step."""
    model.start_step(step)
    optimiser.zero_grad()
    loss = softmax_cross_entropy(model(x), labels, reduction="sum") * (1 / labels.size)
    if not math.isfinite(loss.data):
        raise RuntimeError(f"the loss is {loss.data} at step {step}")
    return loss


def backward(model, optimiser: SGD, loss: Tensor) -> None:
    """The second half."""
    loss.backward()
    clip_gradients(model.parameters(), math.inf)  # the trainer asks for the norm
    optimiser.step()


def buffers(loss: Tensor, model) -> dict[int, int]:
    """Return the bytes of each block of memory that loss's graph keeps for backward, parameters left out, by id."""
    parameters = {id(p.data) for p in model.parameters().values()}
    kept = {}
    for function in graph(loss):
        for array in arrays(vars(function).values()):
            while isinstance(array.base, np.ndarray):  # a view keeps all that it is a view of
                array = array.base
            if id(array) not in parameters:
                kept[id(array)] = array.nbytes
    return kept


def arrays(values) -> Iterator[np.ndarray]:
    """Yield the arrays among values, also from lists and tuples of them."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, list | tuple):
            yield from arrays(value)


def hours(seconds: float) -> float:
    """The hours that an epoch takes at so many seconds a picture."""
    return seconds * PICTURES / 3600


# --- what the report makes of it ---


def blocks(records: list[dict]) -> list[Block]:
    """Return the report's section: predicted against measured by part, drawn, and the verdicts."""
    return [
        Heading("Memory and time of training at batch 1"),
        Text(
            "Each row is a process of its own that trains on one random picture. A part is predicted before the run "
            "and measured in it: `predicted` / `measured`, in 10^9 bytes. Base is what Python and its libraries hold; "
            "it is not predicted. Workspace is the rest of the measured peak: gradients on their way and the "
            "convolutions' own memory. Activations are counted when the forward pass is done. An epoch is "
            f"{PICTURES:,} pictures at the median second of the steps after the first."
        ),
        table(records),
        Plot(
            "footprint",
            footprint_plot(records),
            "Memory of a training step at batch 1, predicted and measured (with Python and its libraries).",
        ),
        *verdicts(records),
    ]


def table(records: list[dict]) -> Table:
    header = ["network", "setting", *PARTS, "base", "all", "ratio", "s a picture", "hours an epoch"]
    return Table(header, [row(r) for r in records])


def row(r: dict) -> list[str]:
    predicted, measured = r["predicted"], r["measured"]
    pairs = [f"{predicted[part] / GB:.3f} / {measured[part] / GB:.3f}" for part in PARTS]
    foreseen = sum(predicted.values()) + r["base"]  # what a machine must have, as far as it can be foretold
    setting = f"{r['trunk']}, {r['height']} x {r['width']}, pad {r['pad']}" + ", low memory" * r["low_memory"]
    low, high = hours_range(r)
    return [
        title(r["network"]),
        setting,
        *pairs,
        f"{r['base'] / GB:.3f}",
        f"{foreseen / GB:.2f} / {r['peak'] / GB:.2f}",
        f"{foreseen / r['peak']:.2f}",
        f"{r['seconds_a_picture']:#.3g}",
        f"{r['hours_an_epoch']:.2f} ({low:.2f} to {high:.2f})",
    ]


def hours_range(r: dict) -> tuple[float, float]:
    """First and third quartile of the steps' seconds, as hours an epoch."""
    seconds = r["seconds"]
    if len(seconds) < 2:
        return hours(seconds[0]), hours(seconds[0])
    first, _, third = quantiles(seconds, n=4, method="inclusive")
    return hours(first), hours(third)


def verdicts(records: list[dict]) -> list[Verdict]:
    """Judge both claims by the records of the reference's setting; others are left out."""
    records = [r for r in records if all(r[name] == value for name, value in REFERENCE.items())]
    return [_memory(records), _epoch(records)]


def _memory(records: list[dict]) -> Verdict:
    peaks = {name: [r["peak"] for r in _normal(records, name)] for name in NETWORKS}
    if all(peaks[name] and min(peaks[name]) > 3 * GIB for name in ("fcn32s", "fcn16s")):
        verdict = "supported"
    elif all(peaks[name] and max(peaks[name]) < 3 * GB for name in NETWORKS):
        verdict = "refuted"
    else:
        verdict = "undecided"
    return Verdict(MEMORY, verdict, _found(records, lambda r: f"{r['peak'] / GB:.2f} GB"))


def _epoch(records: list[dict]) -> Verdict:
    ranges = {name: [hours_range(r) for r in _normal(records, name)] for name in NETWORKS}
    within = {name: [HOURS[0] <= low and high <= HOURS[1] for low, high in ranges[name]] for name in NETWORKS}
    outside = {name: [high < HOURS[0] or HOURS[1] < low for low, high in ranges[name]] for name in NETWORKS}
    if all(within[name] and all(within[name]) for name in ("fcn32s", "fcn16s")):
        verdict = "supported"
    elif all(outside[name] and all(outside[name]) for name in NETWORKS):
        verdict = "refuted"
    else:
        verdict = "undecided"
    return Verdict(EPOCH, verdict, _found(records, lambda r: "{:.2f} to {:.2f} hours".format(*hours_range(r))))


def _normal(records: list[dict], name: str) -> list[dict]:
    return [r for r in records if r["network"] == name and not r["low_memory"]]


def _found(records: list[dict], say) -> str:
    modes = {False: "", True: " with --low-memory"}
    found = [f"{title(r['network'])}{modes[r['low_memory']]} {say(r)}" for r in records]
    missing = [title(name) for name in NETWORKS if not _normal(records, name)]
    return "; ".join(found + [f"not measured: {', '.join(missing)}"] * bool(missing)) + "."
