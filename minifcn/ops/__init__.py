"""The layers: one file each, with formula, forward pass, backward pass and the public function."""

from .arithmetic import add as add
from .arithmetic import multiply as multiply
from .arithmetic import scale as scale
from .average import global_average as global_average
from .batch_norm import batch_norm as batch_norm
from .conv import conv2d as conv2d
from .conv_transpose import conv_transpose2d as conv_transpose2d
from .crop import crop as crop
from .dropout import dropout as dropout
from .loss import softmax_cross_entropy as softmax_cross_entropy
from .pool import max_pool2d as max_pool2d
from .relu import relu as relu
from .upsample import bilinear_upsample as bilinear_upsample
