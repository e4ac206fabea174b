"""Where FCN-32s's inference goes: each layer's time and, of the 3x3 convolutions, each phase's.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python experiments/speed/layers.py

Full width, 360 x 480, pad 100, 21 classes, float32; medians of 9 runs, in milliseconds. Threads' times are added up and
divided by their number; "products" is what is left of a layer, with the waiting of threads for one another.
"""

import time
from collections import defaultdict
from statistics import median
from threading import Lock

import with_minifcn

from minifcn import cpu
from minifcn.cpu import winograd

PHASES = {"filters": "filters", "read_tiles": "in", "output_tiles": "out"}  # functions of winograd.py
FUNCTIONS = ("conv_forward", "pool_forward", "relu_forward", "upsample_forward")
JOB = {"trunk": "vgg16", "classes": 21, "N": 1, "H": 360, "W": 480, "network": "fcn32s", "pad": 100, "dropout": 0.0}
RUNS = 9


def main() -> None:
    layers, phases, lock = [], defaultdict(float), Lock()

    def phase(name, threads):
        function = getattr(winograd, name)

        def timed(*args):
            start = time.perf_counter()
            result = function(*args)
            with lock:
                phases[name] += (time.perf_counter() - start) / threads
            return result

        setattr(winograd, name, timed)

    def layer(name):
        function = getattr(cpu, name)

        def timed(*args, **options):
            phases.clear()
            start = time.perf_counter()
            result = function(*args, **options)
            shapes = [array.shape for array in args if hasattr(array, "shape")]
            layers.append((name, shapes, time.perf_counter() - start, dict(phases)))
            return result

        setattr(cpu, name, timed)

    for name in PHASES:
        phase(name, 1 if name == "filters" else cpu.num_threads())
    for name in FUNCTIONS:
        layer(name)
    scores, runs, wholes = with_minifcn.inference(JOB), [], []
    for _ in range(RUNS + 1):
        layers.clear()
        start = time.perf_counter()
        scores()
        wholes.append(time.perf_counter() - start)
        runs.append(list(layers))
    show(list(zip(*runs[1:], strict=True)))
    print(f"the whole: {1e3 * median(wholes[1:]):.0f} ms, with the clocks read")


def show(layers) -> None:
    print(f"{'function':18}{'x':>20}{'w':>20}{'ms':>8}{'filters':>9}{'in':>7}{'products':>10}{'out':>7}")
    sums = defaultdict(float)
    for runs in layers:
        name, shapes, _, _ = runs[0]
        whole = 1e3 * median(run[2] for run in runs)
        parts = [1e3 * median(run[3].get(phase, 0) for run in runs) for phase in PHASES]
        sums[name] += whole
        line = f"{name:18}{shapes[0][1:]!s:>20}{whole:28.1f}"
        if name == "conv_forward":
            line = f"{name:18}{shapes[0][1:]!s:>20}{shapes[1]!s:>20}{whole:8.1f}"
            products = whole - sum(parts)
            line += f"{parts[0]:9.1f}{parts[1]:7.1f}{products:10.1f}{parts[2]:7.1f}"
            for phase, part in zip((*PHASES.values(), "products"), (*parts, products), strict=True):
                sums[phase] += part
        print(line)
    print(", ".join(f"{name} {total:.0f}" for name, total in sums.items()))


if __name__ == "__main__":
    main()
