"""The VGG-16 trunk as FCNs use it: thirteen 3x3 convolutions, five pools, fc6 and fc7 as convolutions.

    picture - conv1 x2 - pool1 - conv2 x2 - pool2 - conv3 x3 - pool3 - conv4 x3 - pool4 - conv5 x3 - pool5 - fc6 - fc7
    stride     1           2        2         4        4         8        8        16       16        32    32    32

Simonyan, Zisserman 2015, configuration D; Long, Shelhamer, Darrell 2015, section 4.1. Pools round sizes up, as Caffe's.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..autograd import Tensor
from ..nn import Module
from ..ops import max_pool2d, relu
from ..ops.checks import number, one_of, whole
from ..ops.frugal import forget_input

CONVS = (2, 2, 3, 3, 3)  # convolutions in each block
HUGE = 1 << 24  # elements of a map that backward computes again, as it is not kept: conv1_1's, with padding 100


@dataclass(frozen=True)
class Widths:
    """Channels of the five blocks, and of fc6 and fc7."""

    blocks: tuple[int, int, int, int, int]
    fc: int


TRUNKS = {"vgg16": Widths((64, 128, 256, 512, 512), 4096), "vgg_quarter": Widths((16, 32, 64, 128, 128), 256)}


class VGG(Module):
    """The trunk. trunk: a name in TRUNKS or a Widths; pad: 100 as the reference, or "same"; fc: channels of fc6 and
    fc7, None for the trunk's own.

    Pad 100 (at conv1_1) makes the smallest picture large enough for fc6's 7x7 kernel. "same" (conv1_1 pads 1, fc6 pads
    3) keeps sizes, for about half the work (docs/pad100_crop19.md).
    """

    def __init__(self, trunk="vgg16", pad: int | str = 100, dtype=np.float32, seed: int = 0, dropout=0.5, fc=None):
        super().__init__(dtype, whole("seed", seed, 0))
        self.widths = trunk if isinstance(trunk, Widths) else TRUNKS[one_of("trunk", trunk, TRUNKS)]
        self.widths = self.widths if fc is None else replace(self.widths, fc=whole("fc", fc, 1))
        self.conv1_padding, self.fc6_padding = (1, 3) if one_of("pad", pad, (100, "same")) == "same" else (100, 0)
        self.trunk, self.pad, self.p = trunk, pad, number("dropout", dropout, 0, 1)
        self.recomputed = 0  # blocks whose first map is not kept; see forget_input
        channels = 3
        for block, (convs, width) in enumerate(zip(CONVS, self.widths.blocks, strict=True), 1):
            for i in range(1, convs + 1):
                self.add_conv(f"conv{block}_{i}", 3, channels, width)
                channels = width
        self.add_conv("fc6", 7, channels, self.widths.fc)
        self.add_conv("fc7", 1, self.widths.fc, self.widths.fc)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (N,H,W,3) -> pool3, pool4 and fc7, of strides 8, 16 and 32. The classifier has a `conv` of its own."""
        pools = {}
        for block, convs in enumerate(CONVS, 1):
            for i in range(1, convs + 1):
                padding = self.conv1_padding if (block, i) == (1, 1) else 1
                x = self.conv(f"conv{block}_{i}", x, padding, relu=i < convs)
                if i == 2 and (block <= self.recomputed or x.data.size >= HUGE):
                    forget_input(x)  # the block's first map is computed again in backward
            # the maximum of ReLUs is the ReLU of the maximum: a quarter of the elements, and the larger map is freed
            pools[block] = x = relu(max_pool2d(x, 2, ceil_mode=True))
        x = self.dropout("fc6", self.conv("fc6", x, self.fc6_padding, relu=True), self.p)
        x = self.dropout("fc7", self.conv("fc7", x, relu=True), self.p)
        return pools[3], pools[4], x
