"""The layers: one file each, with formula, forward pass, backward pass and the public function."""

# ruff: noqa: F401 - the layers, gathered
from .arithmetic import add, multiply, scale
from .average import global_average
from .batch_norm import batch_norm
from .conv import conv2d
from .conv_transpose import conv_transpose2d
from .crop import crop
from .dropout import dropout
from .loss import softmax_cross_entropy
from .pool import max_pool2d
from .relu import relu
from .upsample import bilinear_upsample
