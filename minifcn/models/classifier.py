"""The trunk as a classifier of whole pictures: what it is trained as before it becomes part of an FCN.

    picture - VGG trunk - fc7 - fc8 - average over the map -> one score a class

fc6, fc7 and fc8 are convolutions already, so pictures may have any size; the map of class scores is averaged
(Simonyan, Zisserman 2015, section 3.2). An FCN takes over everything but fc8.

From He's initial weights so deep a trunk is slow to start learning. So while it is trained every layer of the trunk is
batch-normalised (Ioffe, Szegedy 2015), and afterwards that is folded into weights and bias: the result is a plain VGG
that computes the same.

    training   y = max(0, (conv(x, w) - mean) / sqrt(var + eps) + b)        mean, var: of the batch; averages are kept
    after      y = max(0, conv(x, w / sqrt(var + eps)) + b - mean / sqrt(var + eps))              of those averages
"""

import numpy as np

from .. import device
from ..autograd import Tensor
from ..ops import batch_norm, global_average
from ..ops.batch_norm import EPS, BatchNorm
from ..ops.checks import whole
from ..ops.frugal import frugal_conv2d
from .vgg import VGG

KEPT = 0.95  # of the averages of mean and var, at each batch


class VGGClassifier(VGG):
    """Scores of num_classes classes for whole pictures. trunk, dtype, seed, dropout, fc: as VGG's; pad is "same"."""

    name = "vgg_classifier"

    def __init__(self, num_classes: int, trunk="vgg16", dtype=np.float32, seed: int = 0, dropout=0.5, fc=None):
        super().__init__(trunk, "same", dtype, seed, dropout, fc)
        self.num_classes = whole("num_classes", num_classes, 1)
        for layer in [name.removesuffix(".bias") for name in self._parameters if name.endswith(".bias")]:
            channels = self._parameters[f"{layer}.bias"].shape
            self._parameters[f"{layer}.mean"] = Tensor(np.zeros(channels, self.dtype))
            self._parameters[f"{layer}.var"] = Tensor(np.ones(channels, self.dtype))
        self.add_conv("fc8", 1, self.widths.fc, self.num_classes, 0)

    def forward(self, x: Tensor) -> Tensor:
        """x (N,H,W,3) -> scores (N,1,1,L)."""
        _, _, fc7 = self.features(x)
        return global_average(self.conv("fc8", fc7))

    def conv(self, name: str, x: Tensor, padding: int = 0, relu: bool = False) -> Tensor:
        """Apply the convolution of that name, normalised over the batch in training."""
        if name == "fc8":
            return super().conv(name, x, padding, relu)
        w, b, mean, var = (self._parameters[f"{name}.{part}"] for part in ("weight", "bias", "mean", "var"))
        if not self.training:
            return frugal_conv2d(x, *fold(w.data, b.data, mean.data, var.data), 1, padding, relu)
        y, (batch_mean, batch_var) = batch_norm(frugal_conv2d(x, w, None, 1, padding), b, relu)
        M = BatchNorm.total(y.data.size // y.shape[3])
        unbiased = batch_var * batch_var.dtype.type(M / max(1, M - 1))  # as Ioffe and Szegedy, algorithm 2
        for average, now in ((mean.data, batch_mean), (var.data, unbiased)):
            average *= average.dtype.type(KEPT)
            average += now * now.dtype.type(1 - KEPT)
        return y


def fold(w, b, mean, var):
    """Return weights (KH,KW,C,K) and bias (K,) of the convolution that does what `w` and the normalisation did."""
    scale = 1 / device.xp(var).sqrt(var + var.dtype.type(EPS))  # (K,)
    return w * scale, b - mean * scale


def fold_all(tensors: dict) -> dict:
    """Fold the means and variances among a classifier's arrays, by name, into its weights; arrays without stay."""
    folded = {name: x for name, x in tensors.items() if not name.endswith((".mean", ".var"))}
    for layer in (name.removesuffix(".mean") for name in tensors if name.endswith(".mean")):
        parts = (f"{layer}.{part}" for part in ("weight", "bias", "mean", "var"))
        folded[f"{layer}.weight"], folded[f"{layer}.bias"] = fold(*(tensors[part] for part in parts))
    return folded
