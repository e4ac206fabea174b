"""Whose names a file's arrays have, what minifcn calls them, and which preprocessing goes with them.

    torchvision    features.0 .. features.28, classifier.0, classifier.3    (K,C,KH,KW), fc6 and fc7 (K, C KH KW)
    pytorch-fcn    conv1_1 .. conv5_3, fc6, fc7, score_fr, upscore2, ...    (K,C,KH,KW), also of transposed convolutions
    Caffe          the same, as blob0 and blob1; pytorch-fcn has them from there
    MatConvNet     conv1_1 .. conv5_3, fc6, fc7                             (KH,KW,C,K)

pytorch-fcn's FCN-8s trained "at once" is in names an FCN-8s, but needs skip_scale=AT_ONCE; its file does not say so.
"""

import math
from typing import NamedTuple

import numpy as np

from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..models.vgg import CONVS
from .weight_file import FLOATS, Array, Stored, plain

TRUNK = [f"conv{block}_{i}" for block, convs in enumerate(CONVS, 1) for i in range(1, convs + 1)] + ["fc6", "fc7"]
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision counts ReLUs and pools as well
TORCH_TRUNK = [f"features.{number}" for number in FEATURES] + ["classifier.0", "classifier.3"]
HEADS = ["score_fr", "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8", "upscore16"]
LASTS = {"upscore8": " FCN-8s", "upscore16": " FCN-16s", "upscore": " FCN-32s"}  # pytorch-fcn's and Caffe's


class Source(NamedTuple):
    """Whose weights they are. arrays: their name of each -> ours.  preprocessing: None where the file has it."""

    name: str
    arrays: dict[str, str]
    preprocessing: Preprocessing | None


def both(theirs: list[str], ours: list[str], weight: str = "weight", bias: str = "bias") -> dict[str, str]:
    """Return the names of weights and biases from those of layers. weight, bias: what they call the two."""
    layers, kinds = list(zip(theirs, ours, strict=True)), ((weight, "weight"), (bias, "bias"))
    return {f"{their}.{their_kind}": f"{our}.{kind}" for their, our in layers for their_kind, kind in kinds}


BGR = Preprocessing("BGR", (104.00699, 116.66877, 122.67892), (1, 1, 1))
TORCHVISION = Source("torchvision VGG-16", both(TORCH_TRUNK, TRUNK), Preprocessing())
FCN = ([*TRUNK, *HEADS, "upscore"], [*TRUNK, *HEADS, "upscore32"])
PYTORCH_FCN, CAFFE = Source("pytorch-fcn", both(*FCN), BGR), Source("Caffe", both(*FCN, "blob0", "blob1"), BGR)
MATCONVNET = Source("MatConvNet VGG-16", both(TRUNK, TRUNK, "filters", "biases"), None)
SOURCES = (TORCHVISION, PYTORCH_FCN, CAFFE, MATCONVNET)


def place(stored: list[Stored]) -> tuple[str, Preprocessing | None, list[Array]]:
    """Return whose the arrays are, the preprocessing that goes with them, and each with its place in minifcn.

    Raises InputError unless they are a VGG-16's, at any width, at least up to conv5_3.
    """
    prefix = "module." if all(x.name.startswith("module.") for x in stored) else ""  # torch.nn.DataParallel's
    theirs = {x.name.removeprefix(prefix): x for x in stored}
    source = next((s for s in SOURCES if next(iter(s.arrays)) in theirs), None)  # conv1_1's weight
    if source is None:
        some = ", ".join(plain(name) for name in list(theirs)[:4]) or "none"
        raise InputError(f"weights of another network: its arrays are {some}, ... Give VGG-16 or an FCN of pytorch-fcn")
    if "classifier.1.weight" in theirs:  # of Caffe's VGG-16, which takes BGR of 0..255
        raise InputError("came from Caffe, despite torchvision's names. Give torchvision's, or MatConvNet's .mat")
    lacking = [name for name, ours in source.arrays.items() if ours.startswith("conv") and name not in theirs]
    if lacking:
        raise InputError(f"has names of {source.name}, but lacks {lacking[0]}. Give VGG-16, not normalised by batch")
    layers = {name.rsplit(".", 1)[0] for name in theirs}
    network = next((network for last, network in LASTS.items() if last in layers), "")
    return source.name + network, source.preprocessing, [placed(x, name, source) for name, x in theirs.items()]


def placed(x: Stored, name: str, source: Source) -> Array:
    """Place an array that its source calls `name`.

    MATLAB has (KH,KW,C,K), in Fortran's order and without ones at the end, and biases (1,K) or (K,1). PyTorch has
    (K,C,KH,KW) or, of fc6 and fc7, a matrix (K, C KH KW). The weight of a transposed convolution is (inputs, outputs,
    KH, KW) there, and (KH,KW,C,K) with K inputs here: the same transposition.
    """
    ours = source.arrays.get(name)
    if ours is None:
        classes = name.startswith(("classifier.6.", "fc8."))
        return Array(x, why="ImageNet's classes" if classes else "minifcn has no such layer")
    if x.dtype not in FLOATS:
        raise InputError(f"{plain(x.name)} is of type {x.dtype}; expected one of {', '.join(FLOATS)}")
    if source is MATCONVNET:
        shape = x.shape + (1,) * (4 - len(x.shape)) if ours.endswith(".weight") else (math.prod(x.shape),)
        return Array(x, ours, shape, read=lambda: x.read().reshape(shape, order="F"))
    if len(x.shape) < 2:
        return Array(x, ours, x.shape, read=x.read)
    kernel = 7 if ours == "fc6.weight" else 1
    shape = (x.shape[0], x.shape[1] // kernel**2, kernel, kernel) if len(x.shape) == 2 else x.shape
    if len(shape) != 4 or math.prod(shape) != math.prod(x.shape):
        raise InputError(f"damaged: {plain(x.name)} cannot be a {ours} with its shape {x.shape}. Get the file again")
    K, C, KH, KW = shape
    return Array(x, ours, (KH, KW, C, K), read=lambda: x.read().reshape(shape).transpose(2, 3, 1, 0))


def oihw(x: np.ndarray) -> np.ndarray:
    """Return a parameter as PyTorch and ONNX have it, the way back from `placed`: (KH,KW,C,K) becomes (K,C,KH,KW)."""
    return np.ascontiguousarray(x.transpose(3, 2, 0, 1)) if x.ndim == 4 else x
