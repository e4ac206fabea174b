"""FCN-32s, 16s and 8s on a VGG-16 trunk."""

import numpy as np

from .fcn import FCN8s, FCN16s, FCN32s
from .vgg import TRUNKS, Widths

__all__ = ["AT_ONCE", "MODELS", "TRUNKS", "Widths", "fcn8s", "fcn16s", "fcn32s"]

AT_ONCE = (0.01, 0.0001)  # skip scales of pool4 and pool3 with which the reference trains FCN-8s "at once"


def fcn32s(
    num_classes: int, trunk="vgg16", pad=100, skip_scale=1.0, upsampling="learnt", dtype=np.float32, seed=0, dropout=0.5
) -> FCN32s:
    """Return an FCN-32s: x (N,H,W,3) -> scores (N,H,W,num_classes).

    trunk: "vgg16", "vgg_quarter" or a Widths. pad: 100 (the reference) or "same" (about half the work).
    skip_scale: a number, or one each for pool4 and pool3, that multiplies a pool before its score layer.
    upsampling: "learnt" (the paper: all but the last) or "fixed" (the reference: none). dtype: float32 or float64.
    seed: initial weights and dropout masks. dropout: probability at fc6 and fc7, in training mode. He initialisation;
    score layers start at zero, upsampling bilinear. Raises ValueError for another value of any of these.
    """
    return FCN32s(num_classes, trunk, pad, skip_scale, upsampling, dtype, seed, dropout)


def fcn16s(
    num_classes: int, trunk="vgg16", pad=100, skip_scale=1.0, upsampling="learnt", dtype=np.float32, seed=0, dropout=0.5
) -> FCN16s:
    """Return an FCN-16s: fcn32s, with the same arguments, plus a skip from pool4."""
    return FCN16s(num_classes, trunk, pad, skip_scale, upsampling, dtype, seed, dropout)


def fcn8s(
    num_classes: int, trunk="vgg16", pad=100, skip_scale=1.0, upsampling="learnt", dtype=np.float32, seed=0, dropout=0.5
) -> FCN8s:
    """Return an FCN-8s: fcn16s, with the same arguments, plus a skip from pool3. For 8s at once: skip_scale=AT_ONCE."""
    return FCN8s(num_classes, trunk, pad, skip_scale, upsampling, dtype, seed, dropout)


MODELS = {"fcn32s": fcn32s, "fcn16s": fcn16s, "fcn8s": fcn8s}
