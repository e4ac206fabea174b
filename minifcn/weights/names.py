"""Whose names a file's arrays have, what minifcn calls them, and which preprocessing goes with them.

    torchvision    features.0 .. features.28, classifier.0, classifier.3    (K,C,KH,KW), fc6 and fc7 (K, C KH KW)
    pytorch-fcn    conv1_1 .. conv5_3, fc6, fc7, score_fr, upscore2, ...    (K,C,KH,KW), also of transposed convolutions
    MatConvNet     conv1_1 .. conv5_3, fc6, fc7                             (KH,KW,C,K)

pytorch-fcn's FCN-8s trained "at once" is in names an FCN-8s, but needs skip_scale=AT_ONCE; its file does not say so.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..models.vgg import CONVS
from .weight_file import FLOATS, Array, Stored, plain

CONV_LAYERS = [f"conv{block}_{i}" for block, convs in enumerate(CONVS, 1) for i in range(1, convs + 1)]
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision counts ReLUs and pools as well
HEADS = ("score_fr", "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8", "upscore16")
KERNELS = {"fc6": 7, "fc7": 1}  # where torchvision has a matrix
CLASSIFIERS = ("classifier.6.", "fc8.")


class Source(NamedTuple):
    """Whose weights they are. arrays: their name of each -> ours.  preprocessing: None where the file has it."""

    name: str
    arrays: dict[str, str]
    preprocessing: Preprocessing | None


def both(layers: dict[str, str], weight: str = "weight", bias: str = "bias") -> dict[str, str]:
    """Return the names of weights and biases from those of layers. weight, bias: what they call the two."""
    kinds = ((weight, "weight"), (bias, "bias"))
    return {f"{theirs}.{their_kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for their_kind, kind in kinds}


SAME = {layer: layer for layer in (*CONV_LAYERS, "fc6", "fc7")}
FEATURE_LAYERS = {f"features.{number}": layer for number, layer in zip(FEATURES, CONV_LAYERS, strict=True)}
TORCHVISION = Source(
    "torchvision VGG-16", both(FEATURE_LAYERS | {"classifier.0": "fc6", "classifier.3": "fc7"}), Preprocessing()
)
PYTORCH_FCN = Source(
    "pytorch-fcn",
    both(SAME | {layer: layer for layer in HEADS} | {"upscore": "upscore32"}),
    Preprocessing("BGR", (104.00699, 116.66877, 122.67892), (1, 1, 1)),
)
MATCONVNET = Source("MatConvNet VGG-16", both(SAME, "filters", "biases"), None)


def place(stored: list[Stored]) -> tuple[str, Preprocessing | None, list[Array]]:
    """Return whose the arrays are, the preprocessing that goes with them, and each with its place in minifcn.

    Raises InputError unless they are a VGG-16's, at any width, at least up to conv5_3.
    """
    prefix = "module." if all(x.name.startswith("module.") for x in stored) else ""  # torch.nn.DataParallel's
    theirs = {x.name.removeprefix(prefix): x for x in stored}
    for source in (TORCHVISION, PYTORCH_FCN, MATCONVNET):
        if next(iter(source.arrays)) in theirs:  # conv1_1's weight
            break
    else:
        some = ", ".join(plain(name) for name in list(theirs)[:4]) or "none"
        raise InputError(
            f"weights of another network: its arrays are {some}, ... Expected a VGG-16 of torchvision "
            "(features.0.weight, ...), an FCN of pytorch-fcn (conv1_1.weight, ...) or a checkpoint of minifcn"
        )
    if source is TORCHVISION and "classifier.1.weight" in theirs:
        raise InputError(
            "has torchvision's names, but layers of a VGG-16 that came from Caffe, which takes BGR of 0..255. Give "
            "torchvision's own file, or imagenet-vgg-verydeep-16.mat, whose weights are those of Caffe"
        )
    lacking = [name for name, ours in source.arrays.items() if ours.startswith("conv") and name not in theirs]
    if lacking:
        raise InputError(
            f"has names of {source.name}, but lacks {lacking[0]}; it may be another VGG. "
            "Give VGG-16 (configuration D), without batch normalisation"
        )
    arrange = in_matlab if source is MATCONVNET else in_torch
    places = source.arrays
    arrays = [arrange(x, places[name]) if name in places else skipped(x, name) for name, x in theirs.items()]
    return whose(source, theirs), source.preprocessing, arrays


def whose(source: Source, theirs: dict) -> str:
    """Return the source's name; for pytorch-fcn, also which network it is."""
    lasts = {"upscore8.weight": " FCN-8s", "upscore16.weight": " FCN-16s", "upscore.weight": " FCN-32s"}
    network = next((name for last, name in lasts.items() if last in theirs), "")
    return source.name + (network if source is PYTORCH_FCN else "")


def skipped(x: Stored, name: str) -> Array:
    return Array(x, why="ImageNet's classes" if name.startswith(CLASSIFIERS) else "minifcn has no such layer")


def in_torch(x: Stored, ours: str) -> Array:
    """Place an array of PyTorch: (K,C,KH,KW), of a matrix (K, C KH KW), -> (KH,KW,C,K).

    The weight of a transposed convolution is (inputs, outputs, KH, KW) there, and (KH,KW,C,K) with K inputs here: the
    same transposition.
    """
    check_floats(x)
    if len(x.shape) < 2:
        return Array(x, ours, x.shape)
    K, *rest = x.shape
    kernel = KERNELS.get(ours.split(".")[0], 0)
    if len(rest) == 1 and kernel and rest[0] % (kernel * kernel) == 0:
        rest = (rest[0] // (kernel * kernel), kernel, kernel)
    if len(rest) != 3:
        raise InputError(f"damaged: {plain(x.name)} cannot be a {ours} with its shape {x.shape}. Get the file again")
    return Array(x, ours, (*rest[1:], rest[0], K), arrange=partial(from_torch, (K, *rest)))


def from_torch(shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    return x.reshape(shape).transpose(2, 3, 1, 0)  # (K,C,KH,KW) -> (KH,KW,C,K)


def in_matlab(x: Stored, ours: str) -> Array:
    """Place an array of MATLAB: (KH,KW,C,K) without ones at the end, or a bias (1,K) or (K,1)."""
    check_floats(x)
    shape = x.shape + (1,) * (4 - len(x.shape)) if ours.endswith(".weight") else (math.prod(x.shape),)
    return Array(x, ours, shape, arrange=lambda array: array.reshape(shape, order="F"))


def check_floats(x: Stored) -> None:
    if x.dtype not in FLOATS:
        raise InputError(f"{plain(x.name)} is of type {x.dtype}; expected one of {', '.join(FLOATS)}")
