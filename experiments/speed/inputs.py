"""The same random pictures, labels and weights for every contender: NumPy only, so that no contender loads another."""

import numpy as np

CONVS = (2, 2, 3, 3, 3)
WIDTHS = {"vgg16": (64, 128, 256, 512, 512, 4096), "vgg_quarter": (16, 32, 64, 128, 128, 256)}
SKIPS = {"fcn32s": (), "fcn16s": ("pool4",), "fcn8s": ("pool4", "pool3")}


def layer(job: dict) -> tuple[np.ndarray, ...]:
    """x (1,H,W,C), w (3,3,C,K), b (K,), dy (1,H,W,K) of a 3x3 convolution with padding 1."""
    rng = np.random.default_rng(0)
    H, W, C, K = (job[name] for name in "HWCK")
    shapes = (1, H, W, C), (3, 3, C, K), (K,), (1, H, W, K)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


def batch(job: dict) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N,H,W,3) like preprocessed ones, and labels (N,H,W)."""
    rng = np.random.default_rng(1)
    N, H, W = (job[name] for name in "NHW")
    return rng.standard_normal((N, H, W, 3), dtype=np.float32), rng.integers(0, job["classes"], (N, H, W))


def weights(job: dict) -> dict[str, np.ndarray]:
    """Random parameters by name, weights (KH,KW,C,K): He's for the trunk, small numbers for scores and biases."""
    rng = np.random.default_rng(2)
    *widths, fc = WIDTHS[job["trunk"]]
    fc, L = job.get("fc") or fc, job["classes"]
    shapes, channels = {}, 3
    for block, (convs, width) in enumerate(zip(CONVS, widths, strict=True), 1):
        for i in range(1, convs + 1):
            shapes[f"conv{block}_{i}"] = (3, 3, channels, width)
            channels = width
    shapes |= {"fc6": (7, 7, channels, fc), "fc7": (1, 1, fc, fc), "score_fr": (1, 1, fc, L)}
    for pool in SKIPS[job["network"]]:
        shapes[f"score_{pool}"] = (1, 1, widths[int(pool[-1]) - 1], L)
    found = {}
    for name, shape in shapes.items():
        w = rng.standard_normal(shape, dtype=np.float32)
        w *= np.float32((2 / np.prod(shape[:3])) ** 0.5)
        found[f"{name}.weight"] = w
        found[f"{name}.bias"] = rng.standard_normal(shape[3], dtype=np.float32) * np.float32(0.01)
    return found


def is_frozen(job: dict, name: str) -> bool:
    """Whether a parameter lies in one of the first job["freeze"] blocks, which do not learn."""
    return name.startswith(tuple(f"conv{block}_" for block in range(1, job.get("freeze", 0) + 1)))


def bilinear(stride: int, classes: int) -> np.ndarray:
    """The weight (2 stride, 2 stride, L, L) of a transposed convolution that interpolates each class linearly."""
    k = 1 - abs(np.arange(2 * stride, dtype=np.float32) - (stride - 0.5)) / stride
    return np.einsum("y,x,kl->yxkl", k, k, np.eye(classes, dtype=np.float32))
