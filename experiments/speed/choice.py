"""Does minifcn choose the faster algorithm? Winograd against im2col on the 3x3 layers of VGG-16 and its quarter.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python experiments/speed/choice.py

Both run in turns in one process, forward and both gradients. Exit status 1 where the choice of cpu/winograd.py takes
more than 1.15 times as long as the other. Results are compared first.
"""

import os
import sys
import time
from statistics import median

import numpy as np

from minifcn import cpu
from minifcn.cpu import winograd

WIDTHS = {"vgg16": (64, 128, 256, 512, 512), "vgg_quarter": (16, 32, 64, 128, 128)}
SIZES = {"vgg16": [(1, 384, 480), (1, 558, 678)], "vgg_quarter": [(2, 160, 192), (1, 360, 480), (4, 360, 480)]}
ALLOWED = 1.15
ROUNDS = 7


def main() -> int:
    print(f"BLAS {cpu.blas_kernel()}, {cpu.num_threads()} threads; milliseconds of all three functions")
    print(f"{'layer':32}{'winograd':>10}{'im2col':>10}  chosen")
    wrong = 0
    for trunk, widths in WIDTHS.items():
        for N, H, W in SIZES[trunk]:
            before = 3
            for block, width in enumerate(widths):
                h, w = -(-H // 2**block), -(-W // 2**block)
                for C in dict.fromkeys((before, width)):
                    wrong += not compare(f"{trunk} {N} x {h} x {w}, {C} -> {width}", (N, h, w, C), width)
                before = width
    print(f"{wrong} wrong choices" if wrong else "every choice is right")
    return 1 if wrong else 0


def compare(name: str, shape: tuple, K: int) -> bool:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, dtype=np.float32)
    w = rng.standard_normal((3, 3, shape[3], K), dtype=np.float32)
    dy = rng.standard_normal((*shape[:3], K), dtype=np.float32)
    one = (1, 1)

    def three(algorithm):
        os.environ["MINIFCN_CONV"] = algorithm
        cpu.conv_choice.cache_clear()
        start = time.perf_counter()
        y, dw = cpu.conv_forward(x, w, None, one, one), cpu.conv_weight_grad(x, dy, w.shape, one, one)
        dx = cpu.conv_input_grad(dy, w, x.shape, one, one) if shape[3] > 3 else y  # pictures need no gradient
        return time.perf_counter() - start, (y, dx, dw)

    seconds = {"winograd": [], "im2col": []}
    for a, b in zip(three("winograd")[1], three("im2col")[1], strict=True):
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b), name
    for _ in range(ROUNDS):
        for algorithm, found in seconds.items():
            found.append(three(algorithm)[0])
    del os.environ["MINIFCN_CONV"]
    cpu.conv_choice.cache_clear()
    chosen = "winograd" if winograd.pays(x.shape, w.shape, one) else "im2col"
    ms = {algorithm: 1000 * median(found) for algorithm, found in seconds.items()}
    good = ms[chosen] <= ALLOWED * min(ms.values())
    print(f"{name:32}{ms['winograd']:10.2f}{ms['im2col']:10.2f}  {chosen}{'' if good else '  WRONG'}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
