"""The measurements behind docs/performance.md: what single operations cost on this machine.

env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python experiments/speed/pieces.py
"""

import ctypes
import os
import subprocess
import sys
import threading
import time
from statistics import median

import numpy as np
from bench import LAYERS
from numpy.lib.stride_tricks import as_strided
from threadpoolctl import threadpool_limits

from minifcn import cpu

F = np.float32
rng = np.random.default_rng(0)


def main() -> None:
    if sys.argv[1:]:
        return step(returned="returned" in sys.argv)
    print(f"BLAS {cpu.blas_kernel()}; one thread unless said otherwise")
    with threadpool_limits(1):
        products()
        transforms()
        threads()
    accuracy()
    pages()


def seconds(function, repeats=15) -> float:
    function()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return median(found)


def draw(*shape):
    return rng.standard_normal(shape, dtype=F)


def products() -> None:
    print("\n64 products (T,C) @ (C,K), 10^9 operations a second, by the number of tiles T")
    counts = (16, 32, 64, 128, 256)
    print(f"{'':16}" + "".join(f"{T:>8}" for T in counts))
    for C in (64, 128, 256, 512):
        u, line = draw(64, C, C), ""
        for T in counts:
            v, m = draw(64, T, C), np.empty((64, T, C), F)
            line += f"{2 * 64 * T * C * C / seconds(lambda v=v, u=u, m=m: np.matmul(v, u, out=m)) / 1e9:8.0f}"
        print(f"C = K = {C:<8}{line}")


def transforms() -> None:
    print("\ninput transform, nanoseconds an element of v (64,T,C), T = 32")
    print(f"{'':10}{'gather tiles + (64,64) product':>34}{'along y, then along x':>26}")
    B, BB = draw(8, 8), draw(64, 64)
    for C in (16, 64, 256, 512):
        T, W = 32, 6 * 32 + 2
        x, d, v = draw(8, W, C), np.empty((T, 8, 8, C), F), np.empty((64, T, C), F)
        a, b, c = x.strides
        tiles = as_strided(x, (T, 8, 8, C), (6 * b, a, b, c))
        half = np.empty((8, W, C), F)
        across = as_strided(half, (8, T, 8, C), (a, 6 * b, b, c))

        def whole(d=d, tiles=tiles, v=v, T=T, C=C):
            d[:] = tiles
            np.matmul(BB, d.reshape(T, 64, C), out=v.swapaxes(0, 1))

        def by_axis(x=x, half=half, across=across, v=v, T=T, C=C):
            np.matmul(B, x.reshape(8, -1), out=half.reshape(8, -1))
            np.matmul(B, across, out=v.reshape(8, 8, T, C).swapaxes(1, 2))

        one, two = (1e9 * seconds(f, 50) / v.size for f in (whole, by_axis))
        print(f"C = {C:<6}{one:34.2f}{two:26.2f}")


def threads() -> None:
    print("\ntwo threads that each call NumPy again and again: speed against one, by the length of a call")
    a = draw(64, 64)
    for count in (4, 10, 20, 40, 80):
        b, outs = draw(count, 64, 64), [np.empty((count, 64, 64), F) for _ in range(2)]
        calls = 2000 // count

        def loop(out, b=b, calls=calls):
            for _ in range(calls):
                np.matmul(a, b, out=out)
                sum(range(100))  # some Python between the calls: a few microseconds that hold the interpreter lock

        def both(outs=outs, loop=loop):
            pool = [threading.Thread(target=loop, args=(out,)) for out in outs]
            for t in pool:
                t.start()
            for t in pool:
                t.join()

        one, two = seconds(lambda outs=outs, loop=loop: loop(outs[0])), seconds(both)
        print(f"  {1e6 * one / calls:6.0f} microseconds: {2 * one / two:.2f} times")


def accuracy() -> None:
    print("\nrelative error in float32 against im2col in float64: forward, input gradient, weight gradient")
    for name, (H, W, C, K) in LAYERS.items():
        if H > 100:
            continue  # float64 would take long, and the error does not depend on the picture's size
        x, w, dy = draw(1, H, W, C), draw(3, 3, C, K), draw(1, H, W, K)
        truth = three("im2col", *(a.astype(np.float64) for a in (x, w, dy)))
        for algorithm in ("winograd", "im2col"):
            found = three(algorithm, x, w, dy)
            errors = (np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, truth, strict=True))
            print(f"  {name:14}{algorithm:10}" + "".join(f"{error:10.1e}" for error in errors))
    os.environ.pop("MINIFCN_CONV")
    cpu.conv_choice.cache_clear()


def three(algorithm, x, w, dy):
    os.environ["MINIFCN_CONV"] = algorithm
    cpu.conv_choice.cache_clear()
    one = (1, 1)
    y, dx = cpu.conv_forward(x, w, None, one, one), cpu.conv_input_grad(dy, w, x.shape, one, one)
    return y, dx, cpu.conv_weight_grad(x, dy, w.shape, one, one)


def pages() -> None:
    print("\ntraining step of FCN-32s, full width, 360 x 480, pad 100, by what happens to freed memory (3 runs each)")
    found = {"kept": [], "returned": []}
    for _ in range(3):
        for what, runs in found.items():
            runs.append(float(subprocess.check_output([sys.executable, __file__, "step", what], text=True)))
    for what, runs in found.items():
        print(f"  {what:10}{median(runs):6.2f} s")


def step(returned: bool) -> None:
    import minifcn as mf

    if returned:  # what minifcn asked of glibc, undone
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 65536)
        mallopt(-1, 128 * 1024)
    model = mf.models.fcn32s(21, trunk="vgg16", pad=100, dropout=0.0)
    optimiser = mf.optim.SGD(model.parameters(), 1e-4)
    x, labels = draw(1, 360, 480, 3), rng.integers(0, 21, (1, 360, 480))

    def train():
        optimiser.zero_grad()
        mf.softmax_cross_entropy(model(x), labels).backward()
        optimiser.step()

    train()
    print(seconds(train, 4))


if __name__ == "__main__":
    main()
