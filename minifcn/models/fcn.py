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
from ..cpu import bilinear_kernel
from ..ops import bilinear_upsample, conv_transpose2d, crop
from ..ops.checks import whole
from .geometry import Grid, trunk_grids
from .vgg import VGG


class FCN32s(VGG):
    """Scores from fc7 alone, upsampled 32 times."""

    name = "fcn32s"
    skips: tuple[str, ...] = ()  # the pools that join, in order

    def __init__(self, num_classes, trunk, pad, skip_scale, upsampling, dtype, seed, dropout):
        num_classes = whole("num_classes", num_classes, 1)
        if upsampling not in ("learnt", "fixed"):
            raise ValueError(f"upsampling: expected 'learnt' or 'fixed', received {upsampling!r}")
        both = skip_scale if isinstance(skip_scale, tuple | list) else (skip_scale, skip_scale)
        if len(both) != 2 or not all(isinstance(scale, Real) and isfinite(scale) for scale in both):
            raise ValueError(f"skip_scale: expected a finite number or a pair of them, received {skip_scale!r}")
        super().__init__(trunk, pad, dtype, seed, dropout)
        self.num_classes, self.upsampling = num_classes, upsampling
        self.skip_scale = dict(zip(("pool4", "pool3"), map(float, both), strict=True))
        self.grids = trunk_grids(self.conv1_padding, self.fc6_padding)
        self.add_conv("score_fr", 1, self.widths.fc, num_classes, "zero")
        self.add_heads()

    def add_heads(self) -> None:
        self.add_upscore("upscore32", 32, learnt=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (N,H,W,3) -> scores (N,H,W,L)."""
        _, _, fc7 = self.features(x)
        score = self.conv("score_fr", fc7)  # (N, ~H/32, ~W/32, L)
        return self.upsample_to("upscore32", score, self.grids["fc7"], x)

    def add_skip(self, pool: str, channels: int, upscore: str) -> None:
        """Parameters of a skip: the score layer on the pool, and the upsampling that brings the coarser scores."""
        self.add_conv(f"score_{pool}", 1, channels, self.num_classes, "zero")
        self.add_upscore(upscore, 2, learnt=self.upsampling == "learnt")

    def add_upscore(self, name: str, stride: int, learnt: bool) -> None:
        weight = bilinear_weight(stride, self.num_classes, self.dtype)
        self.add_conv(name, 2 * stride, self.num_classes, self.num_classes, weight, bias=False, learnt=learnt)

    def upscore(self, name: str, score: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Upsample by the transposed convolution of that name; in the cheap way where it is fixed and bilinear."""
        weight = self._parameters[f"{name}.weight"]
        stride = weight.shape[0] // 2
        grid = grid.conv_transpose(2 * stride, stride)
        if not weight.requires_grad and is_bilinear(weight.data):
            return bilinear_upsample(score, stride), grid
        return conv_transpose2d(score, weight, stride=stride), grid

    def upsample_to(self, name: str, score: Tensor, grid: Grid, x: Tensor) -> Tensor:
        """The last upsampling, cropped to the picture x."""
        score, grid = self.upscore(name, score, grid)
        offset = grid.crop_to(Grid())
        return crop(score, offset, offset, x.shape[1], x.shape[2])

    def add_skip_scores(self, name: str, score: Tensor, grid: Grid, pool: str, features: Tensor) -> tuple[Tensor, Grid]:
        """Upsample the coarser scores by 2 and add the pool's own scores, where the two maps overlap."""
        score, grid = self.upscore(name, score, grid)
        scale = self.skip_scale[pool]
        skip = self.conv(f"score_{pool}", features if scale == 1 else features * scale)
        offset = grid.crop_to(self.grids[pool])
        if offset >= 0:  # pad "same": the upsampled map reaches beyond the pool
            return crop(score, offset, offset, *skip.shape[1:3]) + skip, self.grids[pool]
        return score + crop(skip, -offset, -offset, *score.shape[1:3]), grid  # pad 100: the pool reaches beyond


class FCN16s(FCN32s):
    """FCN-32s plus a skip from pool4."""

    name = "fcn16s"
    skips = ("pool4",)

    def add_heads(self) -> None:
        self.add_skip("pool4", self.widths.blocks[3], "upscore2")
        self.add_upscore("upscore16", 16, learnt=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (N,H,W,3) -> scores (N,H,W,L)."""
        _, pool4, fc7 = self.features(x)
        score = self.conv("score_fr", fc7)  # (N, ~H/32, ~W/32, L)
        score, grid = self.add_skip_scores("upscore2", score, self.grids["fc7"], "pool4", pool4)  # (N, ~H/16, ~W/16, L)
        return self.upsample_to("upscore16", score, grid, x)


class FCN8s(FCN32s):
    """FCN-16s plus a skip from pool3."""

    name = "fcn8s"
    skips = ("pool4", "pool3")

    def add_heads(self) -> None:
        self.add_skip("pool4", self.widths.blocks[3], "upscore2")
        self.add_skip("pool3", self.widths.blocks[2], "upscore_pool4")
        self.add_upscore("upscore8", 8, learnt=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (N,H,W,3) -> scores (N,H,W,L)."""
        pool3, pool4, fc7 = self.features(x)
        score = self.conv("score_fr", fc7)  # (N, ~H/32, ~W/32, L)
        score, grid = self.add_skip_scores("upscore2", score, self.grids["fc7"], "pool4", pool4)  # (N, ~H/16, ~W/16, L)
        score, grid = self.add_skip_scores("upscore_pool4", score, grid, "pool3", pool3)  # (N, ~H/8, ~W/8, L)
        return self.upsample_to("upscore8", score, grid, x)


def bilinear_weight(stride: int, num_classes: int, dtype) -> np.ndarray:
    """conv_transpose2d's weight (2 stride, 2 stride, L, L) for bilinear interpolation: each class to itself."""
    k = bilinear_kernel(stride, dtype)
    weight = np.zeros((2 * stride, 2 * stride, num_classes, num_classes), dtype)
    for label in range(num_classes):
        weight[:, :, label, label] = np.outer(k, k)
    return weight


def is_bilinear(weight) -> bool:
    """Whether conv_transpose2d with this weight (2 stride, 2 stride, L, L) interpolates each class by itself."""
    xp = device.xp(weight)
    k = device.of(weight).asarray(bilinear_kernel(weight.shape[0] // 2, weight.dtype))
    label = xp.arange(weight.shape[2])
    own = weight[:, :, label, label]  # (2 stride, 2 stride, L): each class's weights for itself
    alike = (own == (k[:, None] * k)[:, :, None]).all()
    return bool(alike & (xp.count_nonzero(weight) == xp.count_nonzero(own)))  # one question to the device
