"""What training and segmenting cost: seconds, processor time and bytes, each measured in a process of its own.

    measure(train, setting)         training at batch 1: bytes by part, predicted and measured, and seconds a step
    measure(segment, setting)       latency, processor time and memory of one picture at a time, bound to its cores
    measure(speed, setting, 1)      milliseconds a picture of both, alone on the machine with one thread: runs side by
                                    side share its caches and memory, so their own times say little

cost_found.py shows and judges what is found.

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
from statistics import median

import numpy as np

from minifcn import autograd, cpu, ops, optim
from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.models import MODELS
from minifcn.training import evaluation, machine

from .own_process import in_own_process

REFERENCE = {"trunk": "vgg16", "pad": 100, "height": 375, "width": 500}  # the commonest size of a VOC picture
TRAINED = {**REFERENCE, "batch": 1, "classes": 21, "steps": 6}
FOOTPRINTS = [{"network": name, "low_memory": low, **TRAINED} for name in MODELS for low in (False, True)]
PICTURES = {"vgg_quarter": 30, "vgg16": 20}  # to segment, by the trunk
WARM, STEPS = 3, 20  # pictures or steps that are not counted, and those of a speed that are
EPOCH = 8498  # pictures of the training set that the lab report used


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


def speed(network, trunk, pad, height: int, width: int, batch: int, classes: int) -> dict:
    """Medians of the steps of a run, and of pictures segmented one by one."""
    model = MODELS[network](classes, trunk, pad)
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
    rng, preprocessing, milliseconds = np.random.default_rng(0), Preprocessing(), []
    shown = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(4)]
    for i in range(WARM + pictures):
        if i == WARM:
            processor = time.process_time()
        start = time.perf_counter()
        evaluation.predict(model, preprocessing.apply(shown[i % len(shown)])[None])
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
