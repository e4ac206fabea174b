"""FCN-32s, FCN-16s and FCN-8s: the trunk, then scores, then upsampling; each is the one before plus one skip.

    32s   fc7 - score_fr ---------------------------------------------- upscore32 - crop -> scores
    16s   fc7 - score_fr - upscore2 - (+) ----------------------------- upscore16 - crop -> scores
                    pool4 - score_pool4'
    8s    fc7 - score_fr - upscore2 - (+) - upscore_pool4 - (+) ------- upscore8  - crop -> scores
                    pool4 - score_pool4'   pool3 - score_pool3'

Long, Shelhamer, Darrell 2015, figure 3. upscore2 and upscore_pool4 start bilinear and are learnt, the last upscore is
fixed bilinear (section 4.2). Where two maps meet, models/geometry.py says where to crop.
"""

from math import isfinite
from numbers import Real

import numpy as np

from .. import device
from ..autograd import Tensor
from ..ops import bilinear_upsample, conv_transpose2d, crop
from ..ops.checks import one_of, whole
from ..sizes import bilinear_kernel
from .geometry import Grid, trunk_grids
from .vgg import VGG

UPSCORES = {"pool4": "upscore2", "pool3": "upscore_pool4"}  # what brings the coarser scores to a pool's stride


class FCN32s(VGG):
    """Scores from fc7 alone, upsampled 32 times: x (N,H,W,3) -> scores (N,H,W,num_classes).

    trunk: "vgg16", "vgg_quarter" or a Widths. fc: channels of fc6 and fc7, None for the trunk's own. pad: 100 (the
    reference) or "same" (about half the work).
    skip_scale: a number, or one each for pool4 and pool3, that multiplies a pool before its score layer.
    upsampling: "learnt" (the paper: all but the last) or "fixed" (the reference: none). dtype: float32 or float64.
    seed: initial weights and dropout masks. dropout: probability at fc6 and fc7, in training mode. He initialisation;
    score layers start at zero, upsampling bilinear. Raises ValueError or TypeError for another value of any of these.
    """

    name = "fcn32s"
    skips: tuple[str, ...] = ()  # the pools that join, in order
    last = "upscore32"

    def __init__(
        self, num_classes, trunk="vgg16", pad=100, skip_scale=1.0, upsampling="learnt", dtype="f4", seed=0, dropout=0.5,
        fc=None,
    ):  # fmt: skip
        both = skip_scale if isinstance(skip_scale, tuple | list) else (skip_scale, skip_scale)
        if len(both) != 2 or not all(isinstance(scale, Real) and isfinite(scale) for scale in both):
            raise ValueError(f"skip_scale: expected a finite number or a pair of them, received {skip_scale!r}")
        super().__init__(trunk, pad, dtype, seed, dropout, fc)
        self.num_classes = num_classes = whole("num_classes", num_classes, 1, 255)  # labels are bytes, and 255 is void
        self.upsampling = one_of("upsampling", upsampling, ("learnt", "fixed"))
        self.skip_scale = dict(zip(UPSCORES, map(float, both), strict=True))
        self.grids = trunk_grids(self.conv1_padding, self.fc6_padding)
        self.add_conv("score_fr", 1, self.widths.fc, num_classes, 0)
        for pool in self.skips:
            self.add_conv(f"score_{pool}", 1, self.widths.blocks[int(pool[-1]) - 1], num_classes, 0)
            self.add_upscore(UPSCORES[pool], 2, learnt=upsampling == "learnt")
        self.add_upscore(self.last, 32 >> len(self.skips), learnt=False)

    def add_upscore(self, name: str, stride: int, learnt: bool) -> None:
        weight = bilinear_weight(stride, self.num_classes, self.dtype)
        self.add_conv(name, 2 * stride, self.num_classes, self.num_classes, weight, bias=False, learnt=learnt)

    def forward(self, x: Tensor) -> Tensor:
        """x (N,H,W,3) -> scores (N,H,W,L)."""
        pool3, pool4, fc7 = self.features(x)
        score, grid = self.conv("score_fr", fc7), self.grids["fc7"]  # (N, ~H/32, ~W/32, L)
        for pool, features in zip(self.skips, (pool4, pool3), strict=False):  # FCN-32s joins none, FCN-16s one
            score, grid = self.join(score, grid, pool, features)  # (N, ~H/16, ~W/16, L), then (N, ~H/8, ~W/8, L)
        score, grid = self.upscore(self.last, score, grid)
        offset = grid.crop_to(Grid())
        return crop(score, offset, offset, x.shape[1], x.shape[2])

    def join(self, score: Tensor, grid: Grid, pool: str, features: Tensor) -> tuple[Tensor, Grid]:
        """Upsample the coarser scores by 2 and add the pool's own scores, where the two maps overlap."""
        score, grid = self.upscore(UPSCORES[pool], score, grid)
        scale = self.skip_scale[pool]
        skip = self.conv(f"score_{pool}", features if scale == 1 else features * scale)
        offset = grid.crop_to(self.grids[pool])
        if offset >= 0:  # pad "same": the upsampled map reaches beyond the pool
            return crop(score, offset, offset, *skip.shape[1:3]) + skip, self.grids[pool]
        return score + crop(skip, -offset, -offset, *score.shape[1:3]), grid  # pad 100: the pool reaches beyond

    def upscore(self, name: str, score: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Upsample by the transposed convolution of that name; in the cheap way where it is fixed and bilinear."""
        weight = self._parameters[f"{name}.weight"]
        stride = weight.shape[0] // 2
        grid = grid.conv_transpose(2 * stride, stride)
        if not weight.requires_grad and is_bilinear(weight.data):
            return bilinear_upsample(score, stride), grid
        return conv_transpose2d(score, weight, stride=stride), grid


class FCN16s(FCN32s):
    """FCN-32s, with the same arguments, plus a skip from pool4."""

    name = "fcn16s"
    skips = (*FCN32s.skips, "pool4")
    last = "upscore16"


class FCN8s(FCN16s):
    """FCN-16s, with the same arguments, plus a skip from pool3. For 8s at once: skip_scale=AT_ONCE."""

    name = "fcn8s"
    skips = (*FCN16s.skips, "pool3")
    last = "upscore8"


def bilinear_weight(stride: int, num_classes: int, dtype) -> np.ndarray:
    """conv_transpose2d's weight (2 stride, 2 stride, L, L) for bilinear interpolation: each class to itself."""
    k = bilinear_kernel(stride, dtype)
    return np.outer(k, k)[:, :, None, None] * np.eye(num_classes, dtype=dtype)


def is_bilinear(weight) -> bool:
    """Whether conv_transpose2d with this weight (2 stride, 2 stride, L, L) interpolates each class by itself."""
    xp = device.xp(weight)
    k = device.of(weight).asarray(bilinear_kernel(weight.shape[0] // 2, weight.dtype))
    label = xp.arange(weight.shape[2])
    own = weight[:, :, label, label]  # (2 stride, 2 stride, L): each class's weights for itself
    alike = (own == (k[:, None] * k)[:, :, None]).all()
    return bool(alike & (xp.count_nonzero(weight) == xp.count_nonzero(own)))  # one question to the device
