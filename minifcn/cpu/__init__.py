"""The hot array loops in NumPy. Plain functions over arrays: no Tensor, no layer, no graph."""

import numpy as np

from .batch_norm import batch_norm_backward, batch_norm_forward
from .classes import argmax, confusion_counts
from .conv import bias_grad, conv_forward, conv_input_grad, conv_weight_grad
from .elementwise import relu_backward, relu_forward, sgd_update, sum_of_squares
from .loss import cross_entropy
from .pool import pool_backward, pool_forward
from .threads import blas_kernel, describe, keep_freed_memory, num_threads
from .upsample import upsample_backward, upsample_forward

asarray = np.asarray

__all__ = [
    "argmax",
    "asarray",
    "batch_norm_backward",
    "batch_norm_forward",
    "bias_grad",
    "blas_kernel",
    "confusion_counts",
    "conv_forward",
    "conv_input_grad",
    "conv_weight_grad",
    "cross_entropy",
    "describe",
    "keep_freed_memory",
    "num_threads",
    "pool_backward",
    "pool_forward",
    "relu_backward",
    "relu_forward",
    "sgd_update",
    "sum_of_squares",
    "upsample_backward",
    "upsample_forward",
]
